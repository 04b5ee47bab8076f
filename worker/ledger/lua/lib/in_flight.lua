-- How a flight ends: the fields that it takes, the way back to "due", and giving the login up.

-- Forget a flight, and what else says nothing from here on. The longest field goes last: an allocator that gives back
-- no less than some tens of bytes then gives all of them back.
local function forget_flight(key, login, owes)
  if not (owes or login.m or login.b) then
    redis.call('HDEL', key, 'c')
    return
  end
  local gone = {}
  if owes then gone[#gone + 1] = 'q' end
  if login.m then gone[#gone + 1] = 'm' end
  if login.b then gone[#gone + 1] = 'b' end
  gone[#gone + 1] = 'c'
  redis.call('HDEL', key, unpack(gone))
end

-- Until when a login rests after its flight: as long as this call, or a fenced one, may still land.
local function rest_after(login, rests_until) return later(rests_until, tonumber(login.m or '0')) end

-- End a flight without a result for its wish: the login is due again, and whoever owes its event a
-- place in the tally owes it still. A wish that was overtaken meanwhile is superseded.
local function put_back(ref, instance, login, due_at, rests_until)
  local key, fields = login_key(ref), { 's', 'due' }
  rests_until = rest_after(login, rests_until)
  local is_open = login.y ~= '1'
  local owes = is_open and login.r == login.c
  if is_open and not owes then count(instance, 'superseded') end
  if rests_until > 0 then fields[3], fields[4] = 'h', whole(rests_until) end
  redis.call('HSET', key, unpack(fields))
  forget_flight(key, login, owes)
  take(leases_key(instance), ref)
  put_due(ref, instance, login.l, due_at, rests_until)
end

-- Read a login whose flight may end: with its claim taken apart into c (the revision), cw (its wish), y (its q) and o
-- (the owner). Returns it, and the rest that its claim asks for, ms. A table of at most 16 fields, as nearly every one
-- is, is much cheaper to make than a larger one.
local function read_flight(ref)
  local login = read_login(ref)
  local revision, wish, is_ended, rest, whose = (login.c or ''):match('^(%d+):(%d):(%d):(%d+):(.*)$')
  if revision then login.c, login.cw, login.y, login.o = revision, wish, is_ended, whose end
  login.l = login.l or 'live'
  return login, tonumber(rest)
end

-- How long a person has to hear of a new kind of letter: a storm, which tells more, is noticed before.
local NEW_GROUP_AFTER = 10000

local function group_notice(group) return 'group|' .. group end

-- Give a login up that is in flight: its wish becomes a dead letter. A newer wish still waits until a call that
-- may land has landed. Returns the letter's id.
local function give_up(ref, instance, login, item, now, rests_until)
  local key = login_key(ref)
  rests_until = rest_after(login, rests_until)
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
  keep_attempts_of_dead_letter(ref)
  local wish, event_id, account, occurred_us = unpack(redis.call('HMGET', key, 'w', 'e', 'a', 't'))
  local group = instance .. '|' .. item.code .. '|' .. (wish == '1' and 'on' or 'off')
  local is_new = open_letter(id, group, now, {
    'kind', 'login', 'login', ref, 'instance', instance, 'revision', login.r, 'wish', wish, 'lane', login.l,
    'event_id', event_id, 'account_id', account or '', 'occurred_us', occurred_us, 'code', item.code,
    'http_status', item.status, 'message', item.message, 'failures', (login.n or 0) + 1,
    'first_at', login.f or whole(now), 'last_at', whole(now),
  })
  if is_new == 1 then give_notice(group_notice(group), now + NEW_GROUP_AFTER) end
  return id
end
