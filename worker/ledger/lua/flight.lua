-- How a flight ends: the fields that it takes, the way back to "due", and giving the login up.

-- Keep one attempt in a login's history, a success only where failures went before.
local function remember(ref, attempt, push)
  if redis.call(push, attempts_key(ref), attempt) == 0 then return end
  redis.call('LTRIM', attempts_key(ref), -200, -1)
  redis.call('PEXPIRE', attempts_key(ref), 30 * DAY)
end

-- Forget a flight, also what only few of them have.
local function forget_flight(key, login)
  if login.m or login.b > 0 then
    redis.call('HDEL', key, 'c', 'cw', 'o', 'y', 'm', 'b')
  else
    redis.call('HDEL', key, 'c', 'cw', 'o', 'y')
  end
end

-- End a flight without a result for its wish: the login is due again, and whoever owes its event a
-- place in the tally owes it still. A wish that was overtaken meanwhile is superseded.
local function put_back(ref, instance, login, due_at, rests_until)
  local key, fields = login_key(ref), { 's', 'due' }
  if login.r == login.c then
    fields[3], fields[4] = 'q', login.y
  elseif login.y ~= '1' then
    count(instance, 'superseded')
  end
  if rests_until > 0 then
    fields[#fields + 1] = 'h'
    fields[#fields + 1] = whole(rests_until)
  end
  redis.call('HSET', key, unpack(fields))
  forget_flight(key, login)
  take(leases_key(instance), ref)
  put_due(ref, instance, login.l, due_at, rests_until)
end

-- Read the fields that a flight's end needs.
local function read_flight(ref)
  local got = redis.call('HMGET', login_key(ref),
    's', 'r', 'c', 'y', 'k', 'l', 'h', 'm', 'n', 'f', 'cw', 'o', 'g', 'b', 'u', 'd', 'z', 'p')
  return {
    s = got[1], r = got[2], c = got[3], y = got[4] or '0', k = got[5], l = got[6] or 'live',
    h = tonumber(got[7] or '0') or 0, m = got[8], n = tonumber(got[9] or '0') or 0, f = got[10],
    cw = got[11], o = got[12], g = got[13], b = tonumber(got[14] or '0') or 0, u = got[15], d = got[16],
    z = got[17], p = got[18],
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
  redis.call('HSET', key, 's', 'dead', 'x', id, 'z', item.code)
  forget_flight(key, login)
  if login.p then end_row_of(login.p, 'dead', item.code, now) end
  take(leases_key(instance), ref)
  redis.call('PERSIST', attempts_key(ref))
  local wish, event_id, account, occurred_us = unpack(redis.call('HMGET', key, 'w', 'e', 'a', 't'))
  local group = instance .. '|' .. item.code .. '|' .. (wish == '1' and 'on' or 'off')
  local is_new = open_letter(id, group, now, {
    'kind', 'login', 'login', ref, 'instance', instance, 'revision', login.r, 'wish', wish, 'lane', login.l,
    'event_id', event_id, 'account_id', account or '', 'occurred_us', occurred_us, 'code', item.code,
    'http_status', item.status, 'message', item.message, 'failures', login.n + 1,
    'first_at', login.f or whole(now), 'last_at', whole(now),
  })
  if is_new == 1 then give_notice(group_notice(group), now + NEW_GROUP_AFTER) end
  return id
end
