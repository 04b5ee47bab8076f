-- How fast the calls of an instance go out, over all workers.

-- The cluster-wide rate, calls/s: halved by throttling, climbing back by a twentieth of the ceiling a second.
local function current_speed(instance, ceiling, now)
  local rate = redis.call('HMGET', rate_key(instance), 'rate', 'changed_at')
  if not rate[1] then return ceiling end
  local seconds = math.max(0, now - tonumber(rate[2])) / 1000 -- Redis' clock may be set back
  return math.min(ceiling, tonumber(rate[1]) + seconds * 0.05 * ceiling)
end

-- Flinks says that we call too fast: half the rate, once for a whole volley of refused calls, and a pause if it asks.
local function slow_down(instance, ceiling, now, retry_after)
  local cut_at = tonumber(redis.call('HGET', rate_key(instance), 'cut_at') or '0') or 0
  if math.abs(now - cut_at) >= 1000 then
    local speed = math.max(1, current_speed(instance, ceiling, now) / 2)
    redis.call('HSET', rate_key(instance), 'rate', string.format('%.3f', speed), 'changed_at', whole(now),
      'cut_at', whole(now))
  end
  if retry_after > 0 then
    local paused_until = tonumber(redis.call('HGET', rate_key(instance), 'paused_until') or '0') or 0
    redis.call('HSET', rate_key(instance), 'paused_until', whole(math.max(paused_until, now + retry_after)))
  end
end
