-- Shut or open a gate by hand. Opening forgets what became of each configuration: each may try one call again.
-- After a storm it also says that those logins are invalid indeed: only a four times longer run is a storm then,
-- until a call is confirmed. So a person who was wrong has not let a million through.
-- ARGV  now (ms or ''), instance, open | closed, by whom, why, INVALID_LOGINs in a row that are a storm

local now = clock(ARGV[1])
local instance, state = ARGV[2], ARGV[3]
local gate = read_gate(instance)

redis.call('SADD', 'nightly:instances', instance)
if state == 'open' then
  if is_shut_by(gate, 'storm') then
    redis.call('HSET', gate_key(instance), 'storm_limit', 4 * (gate.storm_limit or tonumber(ARGV[6])))
  end
  redis.call('DEL', configs_key(instance), invalid_key(instance))
  redis.call('HDEL', rate_key(instance), 'paused_until')
end
turn_gate(instance, gate, state, 'operator', now, { 'by', ARGV[4], 'detail', ARGV[5] })
return state
