-- Acknowledge, mute, reopen or assign a group of open letters (lib/dead_letters.lua has its state).
-- ARGV  1 now (ms or ''), 2 group, 3 acknowledge | mute | reopen | assign, 4 mute: until when, ms; assign: the owner, ''
--       takes it from its owner; else '', 5 name of the person, 6 time of the group's last change that the person saw,
--       ms (0: there was none; '': any), 7 number of letters that the person saw ('': any); the last three: lib/audit.lua
-- Reply done | unknown (it has no open letter) | changed (by another person, since this one looked) | grown (there are
--       more letters than the person saw) | head (another entry came first)

local now, group, action, value, person = clock(ARGV[1]), ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local seen_at, seen_letters = ARGV[6], tonumber(ARGV[7])
local key = group_state_key(group)

if is_newer() then return refuse_newer() end
if not is_head_current() then return 'head' end
local letters = redis.call('ZCARD', 'nightly:group:' .. group)
if letters == 0 then return 'unknown' end
if seen_at ~= '' and seen_at ~= (redis.call('HGET', key, 'at') or '0') then return 'changed' end
if seen_letters and letters > seen_letters then return 'grown' end
append_audit({ group }, now)

if action == 'assign' and value ~= '' then
  redis.call('HSET', key, 'owner', value)
elseif action == 'assign' then
  redis.call('HDEL', key, 'owner')
else
  redis.call('HDEL', key, 'state', 'count', 'until')
end
if action == 'acknowledge' then
  redis.call('HSET', key, 'state', 'acknowledged', 'count', letters)
elseif action == 'mute' then
  redis.call('HSET', key, 'state', 'muted', 'until', value)
end
redis.call('HSET', key, 'by', person, 'at', whole(now))
return 'done'
