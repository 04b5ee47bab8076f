-- Records the wish of an event or of a backfill row. The newest wish is the greatest by occurred_at, then inactive
-- before linked, then event id; that order is total (P2, P3).

local function compare(new, old)
  local difference = tonumber(new.occurred_us) - tonumber(old.occurred_us)
  if difference ~= 0 then return difference end
  if new.wish ~= old.wish then return new.wish == '0' and 1 or -1 end
  return new.event_id == old.event_id and 0 or compare_bytes(new.event_id, old.event_id or '')
end

-- Returns the wishes that a script was given as its arguments from `first` to `last`, as record.lua says, and their
-- sealed loginIds.
local function read_wishes(first, last)
  local wishes, sealed_values, n = {}, {}, 0
  for at = first, last, 8 do
    n = n + 1
    wishes[n] = {
      ref = ARGV[at], instance = ARGV[at + 1], sealed = ARGV[at + 2], occurred_us = ARGV[at + 3], wish = ARGV[at + 4],
      event_id = ARGV[at + 5], account_id = ARGV[at + 6], lane = ARGV[at + 7],
    }
    sealed_values[n] = ARGV[at + 2]
  end
  return wishes, sealed_values
end

-- Read a login that a wish may change: revision and rests_until are numbers, lane is set, and has_past says whether the
-- login has fields that a new wish deletes. One whose newest wish a person damaged begins anew (begins_anew).
local function read_standing(ref)
  local login = read_login(ref)
  login.occurred_us = login.newest and occurred_us_of(login.newest)
  if not login.occurred_us then
    local known = { revision = 0, rests_until = 0, lane = 'live', row = login.row, letter = login.letter }
    known.begins_anew = next(login) ~= nil
    return known
  end
  login.revision, login.rests_until = tonumber(login.revision), number_or_zero(login.rests_until)
  login.lane = login.lane or 'live'
  login.has_past = login.is_counted or login.letter or login.failures or login.first_failure
    or login.failures_while_down or login.held_before_failure or login.refused_by
  return login
end

-- Whether the tally holds the event of a login's newest wish, or will hold it when the call in flight is settled.
local function is_counted(login)
  if login.state == 'due' then return login.is_counted == '1' end
  return login.state ~= 'flight' or tonumber((login.claim or ''):match('^%d+:(%d+)')) == login.revision
end

-- A live event moves its login out of the backfill lane; a backfill never moves a waiting login out of the live lane.
local function lane_for(old, lane)
  if old.state == 'due' or old.state == 'flight' then
    return (lane == 'live' or old.lane == 'live') and 'live' or 'backfill'
  end
  return lane
end

local function add(fields, name, value)
  local n = #fields
  fields[n + 1], fields[n + 2] = name, value
end

-- A login in flight stays in flight: its settlement sees the new revision. What a person damaged is deleted.
local function store(key, new, old, lane)
  if old.begins_anew then redis.call('DEL', key) end
  if old.damaged then redis.call('HDEL', key, unpack(old.damaged)) end
  local revision = old.revision == 0 and '1' or whole(old.revision + 1)
  local is_flying = old.state == 'flight'
  local has_new_account = new.account_id ~= '' and new.account_id ~= old.account_id
  local more = has_new_account and { FIELD.account_id, new.account_id } or {}
  if old.lane ~= lane then add(more, FIELD.lane, lane) end
  if new.row then add(more, FIELD.row, new.row) end
  if not is_flying and old.claim and old.claim:find(':', 1, true) then -- a person damaged the state of a login in flight
    add(more, FIELD.claim, not_healthy(old.claim))
  end
  redis.call('HSET', key, FIELD.sealed, new.sealed, FIELD.event_id, new.event_id,
    FIELD.newest, newest_text(revision, new.wish, new.occurred_us, new.instance),
    is_flying and FIELD.claim or FIELD.state, is_flying and not_healthy(old.claim) or 'due', unpack(more))
  if old.has_past then
    redis.call('HDEL', key, FIELD.is_counted, FIELD.failures, FIELD.first_failure, FIELD.failures_while_down,
      FIELD.held_before_failure, FIELD.letter, FIELD.refused_by)
  end
  if old.row and not new.row then redis.call('HDEL', key, FIELD.row) end
end

local instances = {}

-- Only while the login has failures or an open letter: a healthy login has no history.
local function remember_event(new, old, result, now)
  if not (old.letter or old.failures) then return end
  remember(new.ref, event_line(new, result, now), old.state == 'dead' and not old.letter)
end

-- Record a wish: `new` has ref, instance, sealed, occurred_us, wish, event_id, account_id ('': none), lane and, where
-- it is a row of a backfill, row. `old` is the login as read_standing returned it.
local function record_wish(new, old, now)
  local ref, instance = new.ref, new.instance
  count(instance, 'recorded')
  if old.occurred_us then
    local order = compare(new, old)
    if order == 0 then count(instance, 'duplicate') return 'duplicate' end
    if order < 0 then
      count(instance, 'superseded')
      remember_event(new, old, 'superseded', now)
      return 'superseded'
    end
    if not is_counted(old) then count(instance, 'superseded') end
  end
  remember_event(new, old, 'recorded', now)
  if old.letter then close_letter(old.letter, 'superseded', now, 'superseded_by', new.event_id) end
  if old.row and old.state ~= 'dead' then end_row_of(old.row, 'superseded', '', now) end
  local lane = lane_for(old, new.lane)
  if not instances[instance] then redis.call('SADD', 'nightly:instances', instance) end
  instances[instance] = true
  store(login_key(ref), new, old, lane)
  if old.state ~= 'flight' then
    if old.occurred_us and old.lane ~= lane then take(due_key(instance, old.lane), ref) end
    put_due(ref, instance, lane, now, old.rests_until)
  end
  return 'recorded'
end
