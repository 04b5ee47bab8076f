-- Take wishes into the ledger. Idempotent, and the order of arrival does not matter: the newest wish is
-- the greatest (occurred_at, inactive before linked, event id), and that order is total (P2, P3).
-- ARGV  now (ms, '' for Redis' own clock), furthest ahead (ms), then for each event:
--       reference, instance, sealed loginId, occurred_at (us), wish, event id, account id, lane
-- Reply for each event: recorded | duplicate | superseded | ahead (dated too far ahead; nothing was stored)

local now = clock(ARGV[1])
local furthest_us = (now + tonumber(ARGV[2])) * 1000

-- By bytes: Lua's own `<` follows the locale of the redis-server process.
local function compare_bytes(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x < y and -1 or 1 end
  end
  return #a - #b
end

local function compare(occurred_us, wish, event_id, old)
  local difference = tonumber(occurred_us) - tonumber(old.t)
  if difference ~= 0 then return difference end
  if wish ~= old.w then return wish == '0' and 1 or -1 end
  return compare_bytes(event_id, old.e)
end

local function read_login(key)
  local got = redis.call('HMGET', key, 't', 'w', 'e', 'r', 's', 'q', 'h', 'l', 'x')
  return {
    t = got[1], w = got[2], e = got[3], r = tonumber(got[4] or '0') or 0, s = got[5], q = got[6],
    h = tonumber(got[7] or '0') or 0, l = got[8], x = got[9],
  }
end

-- A live event lifts its login out of the backfill lane; a backfill never demotes a waiting one.
local function lane_for(old, lane)
  if old.s == 'due' or old.s == 'flight' then
    return (lane == 'live' or old.l == 'live') and 'live' or 'backfill'
  end
  return lane
end

local function store(ref, instance, old, lane, event)
  local key = login_key(ref)
  redis.call('HSET', key, 'i', instance, 'v', event.sealed, 't', event.occurred_us, 'w', event.wish,
    'e', event.id, 'r', old.r + 1, 'q', '0', 'l', lane)
  redis.call('HDEL', key, 'n', 'f', 'd', 'j', 'x', 'u')
  if event.account ~= '' then redis.call('HSET', key, 'a', event.account) end
end

local function record(ref, instance, event, wanted_lane)
  if tonumber(event.occurred_us) > furthest_us then return 'ahead' end
  local old = read_login(login_key(ref))
  count(instance, 'recorded')
  if old.t then
    local order = compare(event.occurred_us, event.wish, event.id, old)
    if order == 0 then count(instance, 'duplicate') return 'duplicate' end
    if order < 0 then count(instance, 'superseded') return 'superseded' end
    if old.q ~= '1' then count(instance, 'superseded') end
  end
  if old.x then close_letter(old.x, 'superseded', now) end
  local lane = lane_for(old, wanted_lane)
  store(ref, instance, old, lane, event)
  redis.call('SADD', 'nightly:instances', instance)
  if old.s == 'flight' then return 'recorded' end -- settlement sees the new revision
  if old.l and old.l ~= lane then redis.call('ZREM', due_key(instance, old.l), ref) end
  make_due(ref, instance, lane, now, old.h)
  return 'recorded'
end

if is_newer() then return refuse_newer() end
local replies = {}
for i = 3, #ARGV, 8 do
  local event = {
    sealed = ARGV[i + 2], occurred_us = ARGV[i + 3], wish = ARGV[i + 4], id = ARGV[i + 5], account = ARGV[i + 6],
  }
  replies[#replies + 1] = record(ARGV[i], ARGV[i + 1], event, ARGV[i + 7])
end
return replies
