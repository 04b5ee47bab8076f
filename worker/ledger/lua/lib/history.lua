-- Keeps the history of a troubled login: a line for each attempt from its first failure on, for each event that comes
-- while it has failures or an open letter, and for each action of a person on its letter (worker/ledger/history.py).
-- A string takes less memory than a Redis list. While the login waits for a call or has an open letter, it does not
-- expire: an expiry takes some 30 bytes. Afterwards it expires in 30 days.

local remember, event_line

do -- Private to this file: a chunk of Lua holds at most 200 local variables.

local LINES_KEPT = 30

-- Returns the time of an attempt, its duration (null: unknown), both in ms, and its other values; nil for a line
-- without other values.
local function parts_of(line) return line:match('^%[(%d+),(%w+),(.*)%]$') end

-- Returns the time of the last attempt, and its other values; nil without an attempt.
local function last_attempt(text)
  local last_at, last_others = nil, nil
  for line in text:gmatch('[^\n]+') do
    local at, _, others = parts_of(line)
    local wait = line:match('^%[(%d+),%w+%]$')
    if at then
      last_at, last_others = tonumber(at), others
    elseif wait and last_at then
      last_at = last_at + wait
    end
  end
  return last_at, last_others
end

-- An attempt whose other values are those of the attempt before it keeps only the time since that one and its duration.
local function shortened(line, earlier)
  local at, duration, others = parts_of(line)
  local last_at, last_others = last_attempt(earlier)
  if not others or others ~= last_others or tonumber(at) < last_at then return line end
  return string.format('[%.0f,%s]', at - last_at, duration)
end

-- Drop the oldest line. If the next attempt says only what differs from it, the other values move to that one.
local function without_oldest(text)
  local oldest, kept = text:match('^([^\n]*)\n(.*)$')
  local at, _, others = parts_of(oldest)
  local before, wait, duration, after = ('\n' .. kept):match('^(.-\n)%[(%d+),(%w+)%](.*)$')
  if not others or not wait or last_attempt(before) then return kept end
  return (before .. '[' .. whole(at + wait) .. ',' .. duration .. ',' .. others .. ']' .. after):sub(2)
end

-- Add a line. `expires`: the login waits for no call, and has no open letter.
function remember(ref, line, expires)
  local key = history_key(ref)
  local earlier = run('GET', key)
  local text = earlier and earlier .. '\n' .. shortened(line, earlier) or line
  local _, line_ends = text:gsub('\n', '')
  if line_ends >= LINES_KEPT then text = without_oldest(text) end
  if expires then redis.call('SET', key, text, 'PX', 30 * DAY) else redis.call('SET', key, text) end
end

-- `event` is a wish as record_wish takes it (wishes.lua).
function event_line(event, result, now)
  return string.format('["event",%s,%s,%s,%s,"%s","%s"]', whole(now), cjson.encode(event.event_id), event.wish,
    event.occurred_us, event.lane, result)
end

end
