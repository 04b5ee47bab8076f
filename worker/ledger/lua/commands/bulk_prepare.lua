-- Freeze the list of a bulk job, whose chunks are stored. It waits for its start, and expires without one.
-- ARGV  1 now (ms or ''), 2 id, 3 how long it waits for its start (ms), 4 number of chunks
--       5 and on: names and values of its fields
-- Reply prepared | gap (a chunk is missing)

local FIRST_FIELD = 5

local now, id, life, chunks = clock(ARGV[1]), ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

if is_newer() then return refuse_newer() end
if redis.call('HLEN', chunks_key(id)) ~= chunks then return 'gap' end
for at = FIRST_FIELD, #ARGV, 2 do redis.call('HSET', backfill_key(id), ARGV[at], ARGV[at + 1]) end
redis.call('HSET', backfill_key(id), 'status', 'prepared', 'chunks', chunks, 'fed', 0, 'ended', 0,
  'created_at', whole(now))
redis.call('ZADD', 'nightly:bulk-jobs', now, id)
keep_for(id, life)
return 'prepared'
