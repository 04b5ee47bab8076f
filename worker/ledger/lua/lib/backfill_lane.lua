-- Limits how many rows of backfills wait in an instance's lane: about two seconds of work, so that a pause or a
-- cancellation takes effect within seconds, and other rows stay packed. The measure is the lane's actual pace: Flinks
-- may be slower than the ceiling, and live events may take most of it.

local LANE_SECONDS, LANE_AT_LEAST = 2, 16
local LANE_AT_FIRST = 1000 -- rows, or two seconds of the ceiling if that is less: the pace is not known yet
local LEARN_AFTER, TOO_OLD = 500, 10000 -- ms: the pace is measured over a time between these
local FIRST_RATE = 10 -- calls/s, until the first claim stores the ceiling
-- Logins whose calls failed wait in the lane, too: they delay rows only when they are many.
local RETRIES_SECONDS, RETRIES_AT_LEAST = 60, 1000

local function waiting_soon(instance, now)
  return redis.call('ZCOUNT', due_key(instance, 'backfill'), '-inf', now + 1000 * LANE_SECONDS)
end

-- Measure the pace: the limit is what leaves the lane in two seconds. If the lane ran dry, the limit itself was too
-- low, and at least doubles; unless there were not even rows for half of it. A lane that nobody fed for a while begins
-- with the limit that it had, so that a drain is at full speed at once.
local function learn_pace(instance, now)
  local key = rate_key(instance)
  local calls, seen, at, limit, ceiling = unpack(redis.call('HMGET', key,
    'lane_calls', 'lane_seen', 'lane_at', 'lane_limit', 'ceiling'))
  ceiling = number_or_nil(ceiling)
  if not ceiling then return end
  calls, seen, limit = number_or_zero(calls), number_or_zero(seen), number_or_zero(limit)
  local passed = at and now - number_or_zero(at) or -1
  if passed < 0 or passed > TOO_OLD then
    limit = math.max(limit, LANE_AT_FIRST)
  elseif passed < LEARN_AFTER then
    return
  else
    local worked_off = (calls - seen) / passed * 1000 * LANE_SECONDS
    local is_dry = waiting_soon(instance, now) == 0
    local is_limit_too_low = is_dry and 2 * (calls - seen) >= limit
    limit = is_limit_too_low and math.max(2 * limit, worked_off) or is_dry and limit or worked_off
  end
  limit = math.min(limit, LANE_SECONDS * ceiling)
  redis.call('HSET', key, 'lane_seen', calls, 'lane_at', whole(now),
    'lane_limit', whole(math.max(math.ceil(limit), LANE_AT_LEAST)))
end

-- Returns how many more rows the lane takes now, and its limit.
local function lane_room(instance, now)
  local rate, changed_at, ceiling, learnt = unpack(redis.call('HMGET', rate_key(instance),
    'rate', 'changed_at', 'ceiling', 'lane_limit'))
  local speed = climbed(rate, changed_at, number_or_nil(ceiling) or FIRST_RATE, now)
  local limit = math.max(math.min(LANE_SECONDS * speed, number_or_zero(learnt)), LANE_AT_LEAST)
  local most = math.max(math.ceil(RETRIES_SECONDS * speed), RETRIES_AT_LEAST)
  local all = redis.call('ZCARD', due_key(instance, 'backfill'))
  return math.max(math.min(math.ceil(limit) - waiting_soon(instance, now), most - all), 0), limit
end

local BURST = 2000 -- ms of its own rate that a backfill may feed at once

-- A backfill's own rate is a bucket like that of the calls (claim.lua), full again at `tat`. Returns how many of `left`
-- rows it allows now, and a function that returns `tat` after so many of them.
local function rows_allowed(rate, tat, left, now)
  local interval = tonumber(rate) and 1000 / tonumber(rate) or 0
  local burst = math.max(BURST, interval)
  tat = math.max(number_or_zero(tat), now)
  if tat > now + burst + BURST then tat = now end -- so far ahead only after the clock was set back
  local allowed = interval > 0 and math.floor((now + burst - tat) / interval + 0.000001) or left
  return allowed, function(rows) return string.format('%.3f', tat + rows * interval) end
end
