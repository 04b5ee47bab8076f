-- Ends the flight of a login, from its claim to its settlement or the loss of its lease: back to due, or to a dead
-- letter.

-- Delete the fields of a flight that has ended. The longest field goes last: an allocator that returns memory only in
-- steps of some tens of bytes then returns all of it.
local function forget_flight(key, login, owes)
  if not (owes or login.reassert_after or login.leases_lost) then
    redis.call('HDEL', key, FIELD.claim)
    return
  end
  local gone = {}
  if owes then gone[#gone + 1] = FIELD.is_counted end
  if login.reassert_after then gone[#gone + 1] = FIELD.reassert_after end
  if login.leases_lost then gone[#gone + 1] = FIELD.leases_lost end
  gone[#gone + 1] = FIELD.claim
  redis.call('HDEL', key, unpack(gone))
end

-- Returns until when a login rests after its flight: as long as this call, or a fenced one, may still land.
local function rest_after(login, rests_until) return math.max(rests_until, tonumber(login.reassert_after or '0')) end

-- End a flight without a result for its wish: the login is due again, and the tally still lacks its event. A wish that
-- was overtaken meanwhile counts as superseded.
local function put_back(ref, instance, login, due_at, rests_until)
  local key, fields = login_key(ref), { FIELD.state, 'due' }
  rests_until = rest_after(login, rests_until)
  local is_open = login.claim_is_counted ~= '1'
  local owes = is_open and login.revision == login.claimed_revision
  if is_open and not owes then count(instance, 'superseded') end
  if rests_until > 0 then fields[3], fields[4] = FIELD.rests_until, whole(rests_until) end
  redis.call('HSET', key, unpack(fields))
  forget_flight(key, login, owes)
  take(leases_key(instance), ref)
  put_due(ref, instance, login.lane, due_at, rests_until)
end

-- Returns a login that may be in flight, with the parts of its claim (claimed_revision, claimed_wish, claim_is_counted,
-- claim_owner), and how long it rests if its lease is lost, ms.
local function read_flight(ref)
  local login = read_login(ref)
  local revision, wish, is_counted, rest, owner = (login.claim or ''):match('^(%d+):(%d):(%d):(%d+):(.*)$')
  if revision then
    login.claimed_revision, login.claimed_wish = revision, wish
    login.claim_is_counted, login.claim_owner = is_counted, owner
  end
  login.lane = login.lane or 'live'
  return login, tonumber(rest)
end

-- ms: the notice of a new group waits this long, as a storm, which explains more, may be detected first.
local NEW_GROUP_AFTER = 10000

local function group_notice(group) return 'group|' .. group end

-- Give a login in flight up: its wish becomes a dead letter. A newer wish is not called before the rest of this call
-- ends. Returns the letter's id.
local function give_up(ref, instance, login, item, now, rests_until)
  local key = login_key(ref)
  rests_until = rest_after(login, rests_until)
  if rests_until > 0 then redis.call('HSET', key, FIELD.rests_until, whole(rests_until)) end
  if login.claim_is_counted ~= '1' then
    count(instance, 'dead_lettered')
    count(instance, 'dead:' .. item.code)
  end
  local id = 'dl-' .. whole(redis.call('INCR', 'nightly:letters:seq'))
  redis.call('HSET', key, FIELD.state, 'dead', FIELD.letter, id, FIELD.last_code, item.code)
  forget_flight(key, login)
  if login.row then end_row_of(login.row, 'dead', item.code, now) end
  take(leases_key(instance), ref)
  local wish, event_id, account, occurred_us = unpack(redis.call('HMGET', key,
    FIELD.wish, FIELD.event_id, FIELD.account_id, FIELD.occurred_us))
  local group = instance .. '|' .. item.code .. '|' .. (wish == '1' and 'on' or 'off')
  local is_new = open_letter(id, group, now, {
    'kind', 'login', 'login', ref, 'instance', instance, 'revision', login.revision, 'wish', wish, 'lane', login.lane,
    'event_id', event_id, 'account_id', account or '', 'occurred_us', occurred_us, 'code', item.code,
    'http_status', item.status, 'message', item.message, 'failures', (login.failures or 0) + 1,
    'first_at', login.first_failure or whole(now), 'last_at', whole(now),
    'backfill', login.row and login.row:match('^(bf%-.-):') or '',
  })
  remember_letter(ref, id)
  if is_new == 1 then give_notice(group_notice(group), now + NEW_GROUP_AFTER) end
  return id
end
