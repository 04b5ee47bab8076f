-- Start a backfill whose rows are all loaded.
-- ARGV  1 now (ms or ''), 2 id, 3 digest of its content, wish and instance,
--       4 1: start it though another backfill has the same digest, 5 1: only if the rows loaded so far have that digest;
--       the last three: see lib/audit.lua
-- Reply running | finished (it has no row) | unknown | same <id> (of the backfill with the same digest) |
--       changed (another load has added other rows meanwhile) | head (another entry came first), or the status of a backfill that was loaded before

local now, id, digest = clock(ARGV[1]), ARGV[2], ARGV[3]
local is_repeat_wanted, must_match_rows = ARGV[4] == '1', ARGV[5] == '1'

if is_newer() then return refuse_newer() end
if not is_head_current() then return 'head' end
local status, digest_so_far = unpack(redis.call('HMGET', backfill_key(id), 'status', 'digest_so_far'))
if not status then return 'unknown' end
if must_match_rows and digest_so_far ~= digest then return 'changed' end
if status ~= 'loading' then return status end
local other = redis.call('HGET', 'nightly:backfill-digests', digest)
local others = other and redis.call('HGET', backfill_key(other), 'status')
if not is_repeat_wanted and others and others ~= 'cancelled' and others ~= 'loading' then return 'same ' .. other end
append_audit({ id }, now)
redis.call('HSET', backfill_key(id), 'status', 'running', 'digest', digest, 'loaded_at', whole(now))
redis.call('HSET', 'nightly:backfill-digests', digest, id)
redis.call('SADD', 'nightly:backfills:running', id)
redis.call('DEL', 'nightly:feed-hint')
keep_for(id, nil)
end_if_done(id, now)
return redis.call('HGET', backfill_key(id), 'status')
