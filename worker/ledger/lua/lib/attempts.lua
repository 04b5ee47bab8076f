-- The last attempts of a login: a list of JSON texts (worker/ledger/attempts.py), oldest first, from the first failure on.
-- It expires 30 days after the last attempt; that of a dead letter, 30 days after the letter is closed.

local ATTEMPTS_KEPT = 20

local function remember_attempt(ref, attempt)
  local key = attempts_key(ref)
  redis.call('RPUSH', key, attempt)
  redis.call('LTRIM', key, -ATTEMPTS_KEPT, -1)
  redis.call('PEXPIRE', key, 30 * DAY)
end

local function keep_attempts_of_dead_letter(ref) redis.call('PERSIST', attempts_key(ref)) end
