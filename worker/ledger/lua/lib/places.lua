-- The places of reconcilers: nightly:reconcilers, by the moment at which one that fell silent loses its own.

-- Places of reconcilers that gave no sign of life, and those from before the clock was set back.
local function forget_silent_reconcilers(now)
  redis.call('ZREMRANGEBYSCORE', 'nightly:reconcilers', '-inf', now)
  redis.call('ZREMRANGEBYSCORE', 'nightly:reconcilers', now + 60000, '+inf')
end
