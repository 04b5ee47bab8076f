-- Start a bulk job, unless another one on a group of its letters is at work, or was started after its list was made: a
-- second person would decide the same letters on figures that are no longer true.
-- ARGV  1 now (ms or ''), 2 id, 3 name of the starter, 4 most letters a second ('': no limit), then what audit.lua takes
-- Reply head | done | unknown | started <id of the other job> | its status, if it does not wait for its start

local now, id, starter, rate = clock(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]

if is_newer() then return refuse_newer() end
if not is_head_current() then return 'head' end
local status, groups, seen = unpack(redis.call('HMGET', backfill_key(id), 'status', 'groups', 'seen'))
if not status then return 'unknown' end
if status ~= 'prepared' then return status end

-- Whether a job has letters left to decide. Calls for letters that it has decided hold up no other job.
local function is_at_work(job)
  local found, fed, rows = unpack(redis.call('HMGET', backfill_key(job), 'status', 'fed', 'rows'))
  return (found == 'running' or found == 'paused') and fed ~= rows
end

for group in groups:gmatch('[^\n]+') do
  local number, other = (redis.call('HGET', 'nightly:bulk-groups', group) or ''):match('^(%d+) (.+)$')
  if number and (tonumber(number) > tonumber(seen) or is_at_work(other)) then return 'started ' .. other end
end

append_audit({ id }, now)
local number = redis.call('INCR', 'nightly:bulk-jobs:starts')
for group in groups:gmatch('[^\n]+') do redis.call('HSET', 'nightly:bulk-groups', group, number .. ' ' .. id) end
redis.call('HSET', backfill_key(id), 'status', 'running', 'starter', starter, 'rate', rate, 'started_at', whole(now),
  'entry', HEAD_AFTER:match('^%d+'))
redis.call('SADD', 'nightly:backfills:running', id)
redis.call('DEL', 'nightly:feed-hint')
keep_for(id, nil)
return 'done'
