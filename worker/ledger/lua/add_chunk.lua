-- Add the next chunk to a backfill that is loading. Idempotent: a chunk that is there already stays as it is.
-- ARGV  now (ms or ''), id, number of the chunk, its rows, sealed rows, digest of everything up to its end, rows in a
--       full chunk, life of a load without progress (ms)
-- Reply added | known | unknown (no such backfill) | gap (a chunk before it is missing, or was the last), or its status
--       when it loads no more

if is_newer() then return refuse_newer() end
local id, number = ARGV[2], tonumber(ARGV[3])
local status, chunks, rows = unpack(redis.call('HMGET', backfill_key(id), 'status', 'chunks', 'rows'))
if not status then return 'unknown' end
if status ~= 'loading' then return status end
if number < tonumber(chunks) then return 'known' end
if number > tonumber(chunks) or tonumber(rows) ~= number * tonumber(ARGV[7]) then return 'gap' end
redis.call('HSET', chunks_key(id), number, ARGV[5])
redis.call('HSET', backfill_key(id), 'chunks', number + 1, 'rows', rows + ARGV[4], 'digest_so_far', ARGV[6])
keep_for(id, tonumber(ARGV[8]))
return 'added'
