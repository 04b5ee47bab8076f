-- Pause, resume or cancel a backfill or a bulk job. Rows that were fed before are still called; no more rows are fed.
-- ARGV  1 now (ms or ''), 2 id, 3 pause | resume | cancel; the last three: see lib/audit.lua
-- Reply done | unknown | head (another entry came first), or the status that does not allow the action

local BECOMES = { pause = 'paused', resume = 'running', cancel = 'cancelled' }
local FROM = {
  pause = { running = true }, resume = { paused = true },
  cancel = { loading = true, prepared = true, running = true, paused = true },
}

local now, id, action = clock(ARGV[1]), ARGV[2], ARGV[3]

if is_newer() then return refuse_newer() end
if not is_head_current() then return 'head' end
local status = redis.call('HGET', backfill_key(id), 'status')
if not status then return 'unknown' end
if not FROM[action][status] then return status end
append_audit({ id }, now)
redis.call('HSET', backfill_key(id), 'status', BECOMES[action])
if action == 'resume' then redis.call('DEL', 'nightly:feed-hint') end
end_if_done(id, now)
return 'done'
