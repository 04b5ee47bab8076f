-- Mark this ledger as ours, or say why it is not. Code of a newer schema raises the mark, and older code then stops.
-- ARGV  1 now (unused), 2 fingerprint of the key behind all references, 3 begin | look (change nothing),
--       4 with begin: production | sandbox (its Flinks is emulated)
-- Reply ours | newer (written by newer code) | mismatch (begun under other LOGIN_KEYS)
--       | production | sandbox (the ledger is of this kind, and the caller of the other)
-- Promise: a ledger never changes its kind. `look` accepts both kinds.
-- Workers call it with `begin` at each pulse, so they mark a Redis that was emptied before they write anything else.

local reference_key, purpose, kind = ARGV[2], ARGV[3], ARGV[4]

if is_newer() then return 'newer' end
local begun_under, begun_as, schema = unpack(redis.call('HMGET', 'nightly:meta', 'reference_key', 'kind', 'schema'))
if purpose == 'begin' and begun_as and begun_as ~= kind then return begun_as end
if begun_under and begun_under ~= reference_key then return 'mismatch' end
if purpose == 'begin' and not (begun_under and begun_as and tonumber(schema) == SCHEMA) then
  redis.call('HSET', 'nightly:meta', 'reference_key', reference_key, 'schema', SCHEMA, 'kind', kind)
end
return 'ours'
