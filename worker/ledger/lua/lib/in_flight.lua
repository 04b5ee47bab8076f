-- Ends the flight of a login, from its claim to its settlement or the loss of its lease: back to due, or to a dead
-- letter.

-- End a flight: give a login its next state and what else it gets (name, value, ...), and take from it what only a
-- login in flight has. Of the claim, the number stays.
local function end_flight(key, login, state, ...)
  redis.call('HSET', key, FIELD.state, state, FIELD.claim, login.claim_number, ...)
  if login.reassert_after or login.leases_lost then
    redis.call('HDEL', key, FIELD.reassert_after, FIELD.leases_lost)
  end
end

-- Returns until when a login rests after its flight: as long as this call, or a fenced one, may still land.
local function rest_after(login, rests_until) return math.max(rests_until, number_or_zero(login.reassert_after)) end

-- End a flight without a result for its wish: the login is due again, and the tally lacks its event as before. A wish
-- that was overtaken meanwhile counts as superseded.
local function put_back(ref, instance, login, due_at, rests_until)
  local more, is_overtaken = {}, login.revision ~= login.claimed_revision
  rests_until = rest_after(login, rests_until)
  if login.claim_is_counted ~= '1' then
    if is_overtaken then count(instance, 'superseded') end
  elseif not is_overtaken then
    more = { FIELD.is_counted, '1' }
  end
  if rests_until > 0 then more[#more + 1], more[#more + 2] = FIELD.rests_until, whole(rests_until) end
  end_flight(login_key(ref), login, 'due', unpack(more))
  take(leases_key(instance), ref)
  put_due(ref, instance, login.lane, due_at, rests_until)
end

local DAMAGED_REST = 3600000 -- ms: the rest after a call whose claim a person damaged; FLINKS_SETTLE_SECONDS at most

-- Returns a login that may be in flight, with the parts of its claim (claim_number, claimed_revision, claimed_wish,
-- claim_is_counted, claim_owner), and how long it rests if its lease is lost, ms. Of a claim that has ended, only the
-- number is left. A damaged claim has no owner, so only the loss of its lease ends the flight.
local function read_flight(ref)
  local login = read_login(ref)
  local claim = login.claim or ''
  local number, revision, wish, is_counted, rest, owner = claim:match('^(%d+):(%d+):(%d):(%d):(%d+):[h-]:(.*)$')
  login.claim_number, login.claimed_revision, login.claimed_wish = number or claim, revision, wish
  login.claim_is_counted, login.claim_owner = is_counted, owner
  login.lane = login.lane or 'live'
  if not number and (login.state == 'flight' or not IS_STATE[login.state]) then
    login.claim_number, login.claimed_revision = claim:match('^%d+') or '0', login.revision or '0'
    login.claimed_wish = login.wish or '0'
  end
  return login, tonumber(rest) or DAMAGED_REST
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
  end_flight(key, login, 'dead', FIELD.letter, id, FIELD.last_code, item.code)
  if login.row then end_row_of(login.row, 'dead', item.code, now) end
  take(leases_key(instance), ref)
  local group = instance .. '|' .. item.code .. '|' .. (login.wish == '1' and 'on' or 'off')
  local is_new = open_letter(id, group, now, {
    'kind', 'login', 'login', ref, 'instance', instance, 'revision', login.revision, 'wish', login.wish,
    'lane', login.lane, 'event_id', login.event_id or '', 'account_id', login.account_id or '',
    'occurred_us', occurred_us_of(login.newest), 'code', item.code, 'http_status', item.status,
    'message', item.message, 'failures', (login.failures or 0) + 1,
    'first_at', login.first_failure or whole(now), 'last_at', whole(now),
    'backfill', login.row and login.row:match('^(bf%-.-):') or '',
  })
  remember_letter(ref, id)
  if is_new == 1 then give_notice(group_notice(group), now + NEW_GROUP_AFTER) end
  return id
end
