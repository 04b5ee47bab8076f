-- Close or open a gate by hand. Opening ends an outage and a pause, and forgets the standing of each configuration, so
-- each may try one call again. Opening after a storm also confirms that those logins are invalid: from then on only a
-- run four times as long is a storm, until a call is confirmed: a mistaken opening cannot dead-letter a million logins.
-- ARGV  1 now (ms or ''), 2 instance, 3 open | closed, 4 name of the person, 5 reason,
--       6 refused logins in a row that are a storm

local HIGHEST_STORM_LIMIT = 10000

local now, instance, state, person, reason = clock(ARGV[1]), ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local storm_logins = tonumber(ARGV[6])
local gate = read_gate(instance)

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
