-- Add the next chunk to a backfill that is loading. Idempotent: a chunk that exists is not changed.
-- ARGV  1 now (ms or ''), 2 id, 3 number of the chunk, 4 its rows, 5 sealed rows, 6 digest of everything up to its end,
--       7 rows in a full chunk, 8 how long a load without progress is kept (ms),
--       9 digest of everything before it ('': do not compare)
-- Reply added | known | unknown (no such backfill) | gap (an earlier chunk is missing, or the last was not full) |
--       changed (another load of other rows has added chunks meanwhile), or the status of a backfill that is loaded

local now, id, number, rows_in_chunk = clock(ARGV[1]), ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local sealed, digest, rows_in_full_chunk = ARGV[5], ARGV[6], tonumber(ARGV[7])
local kept_ms, digest_before = tonumber(ARGV[8]), ARGV[9]

if is_newer() then return refuse_newer() end
local status, chunks, rows, digest_so_far = unpack(redis.call('HMGET', backfill_key(id), 'status', 'chunks', 'rows',
  'digest_so_far'))
if not status then return 'unknown' end
if status ~= 'loading' then return status end
if number < tonumber(chunks) then return 'known' end
if number > tonumber(chunks) or tonumber(rows) ~= number * rows_in_full_chunk then return 'gap' end
if digest_before ~= '' and digest_before ~= digest_so_far then return 'changed' end
count_seals({ sealed }, now)
redis.call('HSET', chunks_key(id), number, sealed)
redis.call('HSET', backfill_key(id), 'chunks', number + 1, 'rows', rows + rows_in_chunk, 'digest_so_far', digest)
keep_for(id, kept_ms)
return 'added'
