-- Add the next chunk to a backfill that is loading. Idempotent: a chunk that is there already stays as it is.
-- ARGV  now (ms or ''), id, number of the chunk, its rows, sealed rows, digest of everything up to its end, rows in a
--       full chunk, life of a load without progress (ms), digest of everything before it ('' where that is not known)
-- Reply added | known | unknown (no such backfill) | gap (a chunk before it is missing, or was the last), or its status
--       when it loads no more, or changed (another load, of other rows, was at it meanwhile)

if is_newer() then return refuse_newer() end
local id, number = ARGV[2], tonumber(ARGV[3])
local status, chunks, rows, digest = unpack(redis.call('HMGET', backfill_key(id), 'status', 'chunks', 'rows',
  'digest_so_far'))
if not status then return 'unknown' end
if status ~= 'loading' then return status end
if number < tonumber(chunks) then return 'known' end
if number > tonumber(chunks) or tonumber(rows) ~= number * tonumber(ARGV[7]) then return 'gap' end
if ARGV[9] ~= '' and ARGV[9] ~= digest then return 'changed' end
count_seals(ARGV, 5, #ARGV, clock(ARGV[1]))
redis.call('HSET', chunks_key(id), number, ARGV[5])
redis.call('HSET', backfill_key(id), 'chunks', number + 1, 'rows', rows + ARGV[4], 'digest_so_far', ARGV[6])
keep_for(id, tonumber(ARGV[8]))
return 'added'
