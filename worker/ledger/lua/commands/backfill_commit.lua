-- A backfill is loaded whole: from now on it is handed over.
-- ARGV  now (ms or ''), id, digest of its content, wish and instance, 1: though another has the same digest,
--       1: only if that is the digest of the rows loaded so far
-- Reply running | finished (it has no row) | unknown | same <id> (that one has the digest) | changed (it holds other
--       rows, because another load was at it meanwhile), or its status when it loads no more

if is_newer() then return refuse_newer() end
local now, id, digest = clock(ARGV[1]), ARGV[2], ARGV[3]
local status, loaded = unpack(redis.call('HMGET', backfill_key(id), 'status', 'digest_so_far'))
if not status then return 'unknown' end
if ARGV[5] == '1' and loaded ~= digest then return 'changed' end
if status ~= 'loading' then return status end
local other = redis.call('HGET', 'nightly:backfill-digests', digest)
local others = other and redis.call('HGET', backfill_key(other), 'status')
if ARGV[4] ~= '1' and others and others ~= 'cancelled' and others ~= 'loading' then return 'same ' .. other end
redis.call('HSET', backfill_key(id), 'status', 'running', 'digest', digest, 'loaded_at', whole(now))
redis.call('HSET', 'nightly:backfill-digests', digest, id)
redis.call('SADD', 'nightly:backfills:running', id)
redis.call('DEL', 'nightly:feed-hint')
keep_for(id, nil)
end_if_done(id, now)
return redis.call('HGET', backfill_key(id), 'status')
