-- nightly:reconcilers  sorted set: each running reconciler by the time at which its slot is free, unless it renews it

-- Free the slots of reconcilers that fell silent, and those from before the clock was set back.
local function forget_silent_reconcilers(now)
  redis.call('ZREMRANGEBYSCORE', 'nightly:reconcilers', '-inf', now)
  redis.call('ZREMRANGEBYSCORE', 'nightly:reconcilers', now + 60000, '+inf')
end
