-- Limits the calls of an instance over all workers.

-- Returns the cluster-wide rate, calls/s: throttling halves it, and it climbs back by 5 % of the ceiling a second.
local function climbed(rate, changed_at, ceiling, now)
  if not rate then return ceiling end
  local seconds = math.max(0, now - tonumber(changed_at)) / 1000 -- Redis' clock may be set back
  return math.min(ceiling, tonumber(rate) + seconds * 0.05 * ceiling)
end

-- Flinks throttles us: halve the rate, at most once a second as refusals come in bunches, and pause if Flinks asks for
-- it.
local function slow_down(instance, ceiling, now, retry_after)
  local key = rate_key(instance)
  local rate, changed_at, cut_at, paused_until = unpack(redis.call('HMGET', key,
    'rate', 'changed_at', 'cut_at', 'paused_until'))
  if math.abs(now - (tonumber(cut_at or '0') or 0)) >= 1000 then
    local speed = math.max(1, climbed(rate, changed_at, ceiling, now) / 2)
    redis.call('HSET', key, 'rate', string.format('%.3f', speed), 'changed_at', whole(now), 'cut_at', whole(now))
  end
  if retry_after > 0 then
    paused_until = math.max(tonumber(paused_until or '0') or 0, now + retry_after)
    redis.call('HSET', key, 'paused_until', whole(paused_until))
  end
end
