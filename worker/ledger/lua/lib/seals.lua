-- Counts what was sealed under each key of LOGIN_KEYS. Nonces are random, and AES-GCM with such nonces stays safe for
-- 2^32 seals under one key (NIST SP 800-38D, 8.3); a person is notified long before.
-- nightly:seals  hash: id of a key -> seals under it, those of messages that came again included

local SEALS_NOTICED = 2 ^ 30 -- as SEALS_WARN in worker/operations/secrecy_checks.py

-- Count the values at `at`, `at + step` ... of `values`, which one process sealed under its newest key; '' is no seal.
local function count_seals(values, at, step, now)
  local sealed, seals = '', 0
  for i = at, #values, step do
    if values[i] ~= '' then sealed, seals = values[i], seals + 1 end
  end
  local key_id = key_id_of(sealed)
  if not key_id then return end
  local total = redis.call('HINCRBY', 'nightly:seals', key_id, seals)
  if total >= SEALS_NOTICED and total - seals < SEALS_NOTICED then
    give_notice('seals|' .. key_id .. '|' .. whole(total), now)
  end
end
