-- How much of a backfill stands in an instance's lane: about two seconds of work, so that a pause or a cancellation
-- takes effect within seconds, and what waits stays packed.

local LANE_SECONDS, LANE_AT_LEAST = 2, 16
local FIRST_RATE = 10 -- calls/s, as long as no claim has said what the ceiling is
-- Logins whose calls failed wait in the lane, too: they hold rows up only when they have become many.
local RETRIES_SECONDS, RETRIES_AT_LEAST = 60, 1000

-- Returns how many more rows the lane takes, and how many it takes in all.
local function lane_room(instance, now)
  local live, backfill = due_key(instance, 'live'), due_key(instance, 'backfill')
  local rate, changed_at, ceiling = unpack(redis.call('HMGET', rate_key(instance), 'rate', 'changed_at', 'ceiling'))
  local speed = climbed(rate, changed_at, tonumber(ceiling or FIRST_RATE), now)
  -- Where live events wait, the lane has every tenth call.
  if redis.call('ZCOUNT', live, '-inf', now) > speed then speed = speed / 10 end
  local limit = later(math.ceil(LANE_SECONDS * speed), LANE_AT_LEAST)
  local soon = redis.call('ZCOUNT', backfill, '-inf', now + 1000 * LANE_SECONDS)
  local most = later(math.ceil(RETRIES_SECONDS * speed), RETRIES_AT_LEAST)
  return later(math.min(limit - soon, most - redis.call('ZCARD', backfill)), 0), limit
end
