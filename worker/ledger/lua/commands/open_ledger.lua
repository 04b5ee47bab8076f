-- Make this ledger ours, or say why it is not. Code of a newer shape raises the mark, and older code then stops.
-- ARGV  now (unused), fingerprint of the key behind all references, begin | look (change nothing),
--       with begin: production | sandbox (its Flinks is no real one)
-- Reply ours | newer (written by newer code) | mismatch (begun under other LOGIN_KEYS)
--       | production | sandbox (begun as this, and the caller is the other)
-- Promise: a ledger is of one kind for as long as it lasts. Whoever only looks may look at both.
-- Workers begin at each pulse, so that a Redis that was emptied is theirs again at once: nothing is written in between.

if is_newer() then return 'newer' end
local begun_under, kind, schema = unpack(redis.call('HMGET', 'nightly:meta', 'reference_key', 'kind', 'schema'))
if ARGV[3] == 'begin' and kind and kind ~= ARGV[4] then return kind end
if begun_under and begun_under ~= ARGV[2] then return 'mismatch' end
if ARGV[3] == 'begin' and not (begun_under and kind and tonumber(schema) == SCHEMA) then
  redis.call('HSET', 'nightly:meta', 'reference_key', ARGV[2], 'schema', SCHEMA, 'kind', ARGV[4])
end
return 'ours'
