-- Keep new counts of what a prepared bulk job would do.
-- ARGV  1 now (unused), 2 id, 3 the counts (JSON), 4 when they were made (ms)
-- Reply kept | unknown | the job's status, if it is not `prepared`

local id = ARGV[2]

if is_newer() then return refuse_newer() end
local status = redis.call('HGET', backfill_key(id), 'status')
if status ~= 'prepared' then return status or 'unknown' end
redis.call('HSET', backfill_key(id), 'foreseen', ARGV[3], 'counted_at', ARGV[4])
return 'kept'
