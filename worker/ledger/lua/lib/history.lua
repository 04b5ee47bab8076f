-- Keeps the history of a troubled login: a line for each attempt from its first failure on, for each event that comes
-- while it has failures or an open letter, and for each action of a person on its letter (worker/ledger/history.py).
-- A string takes less memory than a Redis list. It expires 30 days after the last line, or 30 days after the login's
-- dead letter is closed.
local LINES_KEPT = 30

-- Add a line. `is_dead`: the login has an open letter, so the history does not expire.
local function remember(ref, line, is_dead)
  local key = history_key(ref)
  local earlier = redis.call('GET', key)
  local text = earlier and earlier .. '\n' .. line or line
  local _, line_ends = text:gsub('\n', '')
  if line_ends >= LINES_KEPT then text = text:match('\n(.*)') end
  if is_dead then redis.call('SET', key, text) else redis.call('SET', key, text, 'PX', 30 * DAY) end
end

-- `event` is a wish as record_wish takes it (wishes.lua).
local function event_line(event, result, now)
  return string.format('["event",%s,%s,%s,%s,"%s","%s"]', whole(now), cjson.encode(event.event_id),
    tostring(event.wish == '1'), event.occurred_us, event.lane, result)
end
