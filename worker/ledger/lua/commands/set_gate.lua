-- Shut or open a gate by hand. Opening ends whatever holds calls, and forgets what became of each configuration: each
-- may try one call again. After a storm it also says that those logins are invalid indeed: only a four times longer
-- run is a storm then, until a call is confirmed. So a person who was wrong has not let a million through.
-- ARGV  now (ms or ''), instance, open | closed, by whom, why, logins refused in a row that are a storm

local now = clock(ARGV[1])
local instance, state = ARGV[2], ARGV[3]
local gate = read_gate(instance)
local HIGHEST_STORM_LIMIT = 10000

redis.call('SADD', 'nightly:instances', instance)
if state == 'open' then
  if is_shut_by(gate, 'storm') then
    local limit = gate.storm_limit or tonumber(ARGV[6])
    redis.call('HSET', gate_key(instance), 'storm_limit', later(math.min(4 * limit, HIGHEST_STORM_LIMIT), limit))
  end
  for _, fingerprint in ipairs(redis.call('HKEYS', configs_key(instance))) do
    redis.call('DEL', invalid_key(instance, fingerprint))
  end
  redis.call('DEL', configs_key(instance))
  end_pause(instance, gate, now)
  clear_outage(instance, gate, now)
end
turn_gate(instance, gate, state, 'operator', now, { 'by', ARGV[4], 'detail', ARGV[5] })
return state
