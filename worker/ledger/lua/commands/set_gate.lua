-- Close or open a gate by hand. Opening ends an outage and a pause, and forgets the standing of each configuration, so
-- each may try one call again. Opening after a storm also confirms that those logins are invalid: from then on only a
-- run four times as long is a storm, until a call is confirmed: a mistaken opening cannot dead-letter a million logins.
-- ARGV  1 now (ms or ''), 2 instance, 3 open | closed, 4 name of the person, 5 reason,
--       6 refused logins in a row that are a storm, 7 time of the last change that the person saw, ms (0: there was
--       none; '': any); the last three: see lib/audit.lua
-- Reply done | changed (the gate, since the person looked) | head (another entry came first)

local HIGHEST_STORM_LIMIT = 10000

local now, instance, state, person, reason = clock(ARGV[1]), ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local storm_logins, seen = tonumber(ARGV[6]), ARGV[7]
local gate = read_gate(instance)

-- The time of the change that a person sees, as in `Views.gate`.
local function last_change()
  local changed_at, outage_at = unpack(redis.call('HMGET', gate_key(instance), 'changed_at', 'outage_at'))
  return not gate.is_shut and gate.is_out and outage_at or changed_at or '0'
end

if is_newer() then return refuse_newer() end
if not is_head_current() then return 'head' end
if seen ~= '' and seen ~= last_change() then return 'changed' end
append_audit({ instance }, now)

redis.call('SADD', 'nightly:instances', instance)
if state == 'open' then
  if is_shut_by(gate, 'storm') then
    local limit = gate.storm_limit or storm_logins
    redis.call('HSET', gate_key(instance), 'storm_limit', math.max(math.min(4 * limit, HIGHEST_STORM_LIMIT), limit))
  end
  for _, fingerprint in ipairs(redis.call('HKEYS', configs_key(instance))) do
    redis.call('DEL', invalid_key(instance, fingerprint))
  end
  redis.call('DEL', configs_key(instance))
  end_pause(instance, gate, now)
  clear_outage(instance, gate, now)
end
turn_gate(instance, gate, state, 'operator', now, { 'by', person, 'detail', reason })
return 'done'
