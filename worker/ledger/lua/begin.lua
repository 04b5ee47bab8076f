-- Make this ledger ours, or say why it is not. Code of a newer shape raises the mark, and older code then stops.
-- ARGV  now (unused), fingerprint of the key behind all references, begin | look (change nothing)
-- Reply ours | newer (written by newer code) | mismatch (begun under other LOGIN_KEYS)

if is_newer() then return 'newer' end
local begun_under = redis.call('HGET', 'nightly:meta', 'reference_key')
if begun_under and begun_under ~= ARGV[2] then return 'mismatch' end
if ARGV[3] == 'begin' then
  redis.call('HSET', 'nightly:meta', 'reference_key', ARGV[2], 'schema', SCHEMA)
end
return 'ours'
