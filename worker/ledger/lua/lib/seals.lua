-- Counts what was sealed under each key of LOGIN_KEYS. Nonces are random, and AES-GCM with such nonces stays safe for
-- 2^32 seals under one key (NIST SP 800-38D, 8.3); a notice warns long before.
-- nightly:seals  hash: id of a key -> seals under it, including those of messages that were delivered again

local SEALS_NOTICED = 2 ^ 30 -- as SEALS_WARN in worker/operations/secrecy_checks.py

-- Count values that one process sealed under its newest key; '' is no seal.
local function count_seals(sealed_values, now)
  local last, seals = '', 0
  for _, sealed in ipairs(sealed_values) do
    if sealed ~= '' then last, seals = sealed, seals + 1 end
  end
  local key_id = key_id_of(last)
  if not key_id then return end
  local total = redis.call('HINCRBY', 'nightly:seals', key_id, seals)
  if total >= SEALS_NOTICED and total - seals < SEALS_NOTICED then
    give_notice('seals|' .. key_id .. '|' .. whole(total), now)
  end
end
