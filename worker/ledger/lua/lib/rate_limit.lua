-- Limits the rate of calls of an instance, over all workers: calls/s, and a pause if Flinks asks for one. claim.lua
-- hands out as many logins as the bucket has tokens, and stores `tat`.

local EARLY_MS = 20
local MARGIN = 1.03

-- Returns the cluster-wide rate, calls/s: throttling halves it, and it climbs back by 5 % of the ceiling a second.
local function climbed(rate, changed_at, ceiling, now)
  rate, changed_at = number_or_nil(rate), number_or_nil(changed_at)
  if not (rate and changed_at) then return ceiling end
  local seconds = math.max(0, now - changed_at) / 1000 -- Redis' clock may be set back
  return math.min(ceiling, rate + seconds * 0.05 * ceiling)
end

-- Flinks throttles us: halve the rate, at most once a second as refusals come in bunches, and pause if Flinks asks for
-- it.
local function slow_down(instance, ceiling, now, retry_after)
  local key = rate_key(instance)
  local rate, changed_at, cut_at, paused_until = unpack(redis.call('HMGET', key,
    'rate', 'changed_at', 'cut_at', 'paused_until'))
  if math.abs(now - number_or_zero(cut_at)) >= 1000 then
    local speed = math.max(1, climbed(rate, changed_at, ceiling, now) / 2)
    redis.call('HSET', key, 'rate', string.format('%.3f', speed), 'changed_at', whole(now), 'cut_at', whole(now))
  end
  if retry_after > 0 then
    paused_until = math.max(number_or_zero(paused_until), now + retry_after)
    redis.call('HSET', key, 'paused_until', whole(paused_until))
  end
end

-- Returns how many calls the rate allows now: a token bucket (GCRA), stored as the time `tat` at which it is full
-- again.
local function read_bucket(context)
  local paused_until, tat, turn, rate, changed_at, lane_calls = unpack(redis.call('HMGET', rate_key(context.instance),
    'paused_until', 'tat', 'turn', 'rate', 'changed_at', 'lane_calls'))
  local bucket = { turn = number_or_zero(turn), lane_calls = number_or_zero(lane_calls) }
  bucket.paused = math.min(number_or_zero(paused_until), context.now + LONGEST_PAUSE) - context.now
  -- ms a call, with a margin of 3 %: even if a call is early and the network bunches two calls, each second as Flinks
  -- counts it stays within the ceiling (P6).
  bucket.interval = 1000 / climbed(rate, changed_at, context.ceiling, context.now) * MARGIN
  -- How early a call may be, so that a claim that comes late loses no calls: nearly an interval, at most 20 ms. At
  -- high rates, where an interval is shorter than a claim takes, it is 20 ms less an interval. It depends on the
  -- ceiling, not on the present rate, so that a cut rate grants no new burst.
  local early = math.max(math.min(EARLY_MS, 900 / context.ceiling), EARLY_MS - 1000 / context.ceiling)
  bucket.burst = bucket.interval + early
  bucket.tat = math.max(number_or_zero(tat), context.now)
  -- So far ahead only after the clock was set back.
  if bucket.tat > context.now + bucket.burst + 5000 then bucket.tat = context.now end
  bucket.tokens = math.floor((context.now + bucket.burst - bucket.tat) / bucket.interval + 0.000001)
  return bucket
end
