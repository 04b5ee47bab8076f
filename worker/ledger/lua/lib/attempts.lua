-- Keeps the last attempts of a login, from its first failure on: one a line, oldest first (worker/ledger/attempts.py).
-- A string takes less memory than a Redis list. It expires 30 days after the last attempt, or 30 days after the login's
-- dead letter is closed.

local ATTEMPTS_KEPT = 20

local function remember_attempt(ref, attempt)
  local key = attempts_key(ref)
  local earlier = redis.call('GET', key)
  local text = earlier and earlier .. '\n' .. attempt or attempt
  local _, line_ends = text:gsub('\n', '')
  if line_ends >= ATTEMPTS_KEPT then text = text:match('\n(.*)') end
  redis.call('SET', key, text, 'PX', 30 * DAY)
end

local function keep_attempts_of_dead_letter(ref) redis.call('PERSIST', attempts_key(ref)) end
