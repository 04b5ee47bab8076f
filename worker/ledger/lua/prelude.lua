-- What every script shares: the clock, the names of keys, the fields of a login, the ways back to "due".
-- It is put in front of each script when it is loaded.
--
-- A login is one hash, nightly:login:<reference>, with short field names because there are millions of them:
--   i instance            t occurred_at, us       s state: due | flight | done | dead
--   v sealed loginId      w wish: 1 on, 0 off     l lane: live | backfill
--   a account id          e event id              r revision of the wish
--   n failed attempts     f first failure, ms     h rests until, ms (a call may still land)
--   d charged failures in a row that said Flinks is down: "first:last:how many" (ms, ms)
--   j how long the gate had held calls by f, ms
--   b leases lost in a row, no call ended between them
--   u configuration whose call Flinks refused for this login, while it took others
--   q 1: the event of revision r is in the tally already
-- while in flight:
--   k claim number: grows, and is no smaller than the time, so that a claim which a failover undid is never repeated
--   c, cw  revision and wish claimed   o owner   y as q, for revision c
--   m 1: assert again after this call, because another worker's late call may have landed
--   g 1: the last claim was lost, so whoever held it is too late
-- afterwards:
--   pr, pw, pt  revision, wish and time (ms) of the last confirmed call    z last code    x open letter
--
-- Every event ends in the tally once: recorded + replayed =
--   applied_on + applied_off + superseded + duplicate + dead_lettered + (still waiting, or in flight).

-- The shape of what is stored. Raise it when code of today could misread what tomorrow's writes: workers of
-- both may run at once, and the older ones then stop at their next pulse and say so.
local SCHEMA = 1
local DAY = 86400000

local function clock(given)
  if given ~= '' then return tonumber(given) end
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

local function is_newer() return (tonumber(redis.call('HGET', 'nightly:meta', 'schema') or '0') or 0) > SCHEMA end
local function refuse_newer() return redis.error_reply('NEWERLEDGER it was written by a newer Nightly') end

local function whole(number) return string.format('%.0f', number) end

local function login_key(ref) return 'nightly:login:' .. ref end
local function attempts_key(ref) return 'nightly:attempts:' .. ref end
local function letter_key(id) return 'nightly:letter:' .. id end
local function due_key(instance, lane) return 'nightly:due:' .. instance .. ':' .. lane end
local function leases_key(instance) return 'nightly:leases:' .. instance end
local function rate_key(instance) return 'nightly:rate:' .. instance end
local function gate_key(instance) return 'nightly:gate:' .. instance end
local function configs_key(instance) return 'nightly:configs:' .. instance end
local function tally_key(instance) return 'nightly:tally:' .. instance end

local function count(instance, name) redis.call('HINCRBY', tally_key(instance), name, 1) end

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

-- The failures in a row of `d`: when the first and the last were, and how many.
local function streak(text)
  local first, last, count = (text or ''):match('^(%d+):(%d+):(%d+)$')
  return tonumber(first), tonumber(last), tonumber(count or '0')
end

-- Keep one attempt in a login's history, a success only where failures went before.
local function remember(ref, attempt, push)
  if redis.call(push, attempts_key(ref), attempt) == 0 then return end
  redis.call('LTRIM', attempts_key(ref), -200, -1)
  redis.call('PEXPIRE', attempts_key(ref), 30 * DAY)
end

-- Places of reconcilers that gave no sign of life, and those from before the clock was set back.
local function forget_silent_reconcilers(now)
  redis.call('ZREMRANGEBYSCORE', 'nightly:reconcilers', '-inf', now)
  redis.call('ZREMRANGEBYSCORE', 'nightly:reconcilers', now + 60000, '+inf')
end

local function later(a, b) if a > b then return a end return b end

-- Whether a moment lies ahead. One that lies further ahead than any could is from before the clock was set back.
local function is_ahead(moment, now, longest) return moment > now and moment <= now + longest end

-- Something that a person should hear of, once: the next pulse after `from` hands it to a worker.
local function give_notice(text, from) redis.call('ZADD', 'nightly:notices', 'NX', from, text) end

-- Close a letter; it stays readable for 90 days.
local function close_letter(id, status, now)
  local key = letter_key(id)
  local group = redis.call('HGET', key, 'group')
  if not group then return end
  redis.call('HSET', key, 'status', status, 'closed_at', whole(now))
  redis.call('PEXPIRE', key, 90 * DAY)
  redis.call('ZREM', 'nightly:letters:open', id)
  redis.call('ZREM', 'nightly:group:' .. group, id)
  redis.call('ZADD', 'nightly:letters:closed', now, id)
  redis.call('ZREMRANGEBYSCORE', 'nightly:letters:closed', '-inf', now - 90 * DAY)
end

-- File a letter under its group. Returns 1 when the group had no open letter before.
local function open_letter(id, group, now, fields)
  local key = letter_key(id)
  redis.call('HSET', key, 'id', id, 'group', group, 'status', 'open', 'created_at', whole(now), unpack(fields))
  redis.call('PERSIST', key)
  redis.call('ZREM', 'nightly:letters:closed', id)
  redis.call('ZADD', 'nightly:letters:open', now, id)
  redis.call('SADD', 'nightly:groups', group)
  local is_new = redis.call('ZCARD', 'nightly:group:' .. group) == 0
  redis.call('ZADD', 'nightly:group:' .. group, now, id)
  return is_new and 1 or 0
end

-- Make a login due at `due_at` in its lane, never before it has rested.
local function make_due(ref, instance, lane, due_at, rests_until)
  redis.call('HSET', login_key(ref), 's', 'due', 'l', lane)
  redis.call('ZADD', due_key(instance, lane), later(due_at, rests_until), ref)
end

-- End a flight without a result for its wish: the login is due again, and whoever owes its event a
-- place in the tally owes it still. A wish that was overtaken meanwhile is superseded.
local function put_back(ref, instance, login, due_at, rests_until)
  local key = login_key(ref)
  if login.r == login.c then
    redis.call('HSET', key, 'q', login.y)
  elseif login.y ~= '1' then
    count(instance, 'superseded')
  end
  redis.call('ZREM', leases_key(instance), ref)
  redis.call('HDEL', key, 'c', 'cw', 'o', 'y', 'm', 'b')
  if rests_until > 0 then redis.call('HSET', key, 'h', whole(rests_until)) end
  make_due(ref, instance, login.l, due_at, rests_until)
end

-- Read the fields that a flight's end needs.
local function read_flight(ref)
  local got = redis.call('HMGET', login_key(ref),
    's', 'r', 'c', 'y', 'k', 'l', 'h', 'm', 'n', 'f', 'w', 'e', 'a', 't', 'cw', 'o', 'g', 'b', 'u', 'd')
  return {
    s = got[1], r = got[2], c = got[3], y = got[4] or '0', k = got[5], l = got[6] or 'live',
    h = tonumber(got[7] or '0') or 0, m = got[8], n = tonumber(got[9] or '0') or 0, f = got[10],
    w = got[11], e = got[12], a = got[13], t = got[14], cw = got[15],
    o = got[16], g = got[17], b = tonumber(got[18] or '0') or 0, u = got[19], d = got[20],
  }
end

-- How long a person has to hear of a new kind of letter: a storm, which tells more, is noticed before.
local NEW_GROUP_AFTER = 10000

local function group_notice(group) return 'group|' .. group end

-- Give a login up that is in flight: its wish becomes a dead letter. A newer wish still waits until a call that
-- may land has landed. Returns the letter's id.
local function give_up(ref, instance, login, item, now, rests_until)
  local key = login_key(ref)
  if rests_until > 0 then redis.call('HSET', key, 'h', whole(rests_until)) end
  if login.y ~= '1' then
    count(instance, 'dead_lettered')
    count(instance, 'dead:' .. item.code)
  end
  local id = 'dl-' .. whole(redis.call('INCR', 'nightly:letters:seq'))
  redis.call('ZREM', leases_key(instance), ref)
  redis.call('HSET', key, 's', 'dead', 'x', id, 'z', item.code)
  redis.call('HDEL', key, 'c', 'cw', 'o', 'y', 'm', 'b')
  redis.call('PERSIST', attempts_key(ref))
  local group = instance .. '|' .. item.code .. '|' .. (login.w == '1' and 'on' or 'off')
  local is_new = open_letter(id, group, now, {
    'kind', 'login', 'login', ref, 'instance', instance, 'revision', login.r, 'wish', login.w, 'lane', login.l,
    'event_id', login.e, 'account_id', login.a or '', 'occurred_us', login.t, 'code', item.code,
    'http_status', item.status, 'message', item.message, 'failures', login.n + 1,
    'first_at', login.f or whole(now), 'last_at', whole(now),
  })
  if is_new == 1 then give_notice(group_notice(group), now + NEW_GROUP_AFTER) end
  return id
end
