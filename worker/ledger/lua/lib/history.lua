-- Keeps the history of a troubled login: a line for each attempt from its first failure on, for each event that comes
-- while it has failures or an open letter, and for each action of a person on its letter (worker/ledger/history.py).
-- A string takes less memory than a Redis list. It expires 30 days after the last line, or 30 days after the login's
-- dead letter is closed.

local remember, event_line

do -- Private to this file: a chunk of Lua holds at most 200 local variables.

local LINES_KEPT = 30

-- Returns the time and duration of an attempt, and its other values; nil for a line without other values.
local function parts_of(line) return line:match('^(%[%d+,[%d.]+),(.*)$') end

local function other_values_of_last_attempt(text)
  local found = nil
  for line in text:gmatch('[^\n]+') do
    local _, values = parts_of(line)
    found = values or found
  end
  return found
end

-- An attempt whose other values are those of the attempt before it keeps only its time and duration.
local function shortened(line, earlier)
  local head, values = parts_of(line)
  return values and values == other_values_of_last_attempt(earlier) and head .. ']' or line
end

-- Drop the oldest line; if it is an attempt, its other values go to the next attempt without them.
local function without_oldest(text)
  local oldest, kept = text:match('^([^\n]*)\n(.*)$')
  local _, values = parts_of(oldest)
  local before, short, after = ('\n' .. kept):match('^(.-\n)(%[%d+,[%d.]+%])(.*)$')
  if not values or not short or other_values_of_last_attempt(before) then return kept end
  return (before .. short:sub(1, -2) .. ',' .. values .. after):sub(2)
end

-- Add a line. `is_dead`: the login has an open letter, so the history does not expire.
function remember(ref, line, is_dead)
  local key = history_key(ref)
  local earlier = redis.call('GET', key)
  local text = earlier and earlier .. '\n' .. shortened(line, earlier) or line
  local _, line_ends = text:gsub('\n', '')
  if line_ends >= LINES_KEPT then text = without_oldest(text) end
  if is_dead then redis.call('SET', key, text) else redis.call('SET', key, text, 'PX', 30 * DAY) end
end

-- `event` is a wish as record_wish takes it (wishes.lua).
function event_line(event, result, now)
  return string.format('["event",%s,%s,%s,%s,"%s","%s"]', whole(now), cjson.encode(event.event_id),
    tostring(event.wish == '1'), event.occurred_us, event.lane, result)
end

end
