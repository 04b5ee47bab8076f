-- How a wish is taken in, an event's or a backfill row's: the newest is the greatest (occurred_at, inactive before
-- linked, event id), and that order is total (P2, P3).

-- By bytes: Lua's own `<` follows the locale of the redis-server process.
local function compare_bytes(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x < y and -1 or 1 end
  end
  return #a - #b
end

local function compare(occurred_us, wish, event_id, old)
  local difference = tonumber(occurred_us) - tonumber(old.occurred_us)
  if difference ~= 0 then return difference end
  if wish ~= old.wish then return wish == '0' and 1 or -1 end
  return event_id == old.event_id and 0 or compare_bytes(event_id, old.event_id)
end

local UNKNOWN = { revision = 0, rests_until = 0, lane = 'live' }

-- Read a login that an event may change: r and h as numbers; has_past where something is to be forgotten.
local function read_standing(ref)
  local login = read_login(ref)
  if not login.occurred_us then return UNKNOWN end
  login.revision, login.rests_until = tonumber(login.revision), tonumber(login.rests_until or '0')
  login.lane = login.lane or 'live'
  login.has_past = login.is_counted or login.letter or login.failures or login.first_failure
    or login.failures_while_down or login.held_before_failure or login.refused_by
  return login
end

-- A live event lifts its login out of the backfill lane; a backfill never demotes a waiting one.
local function lane_for(old, lane)
  if old.state == 'due' or old.state == 'flight' then
    return (lane == 'live' or old.lane == 'live') and 'live' or 'backfill'
  end
  return lane
end

-- A login in flight stays so: its settlement sees the new revision.
local function store(key, old, lane, instance, sealed, occurred_us, wish, event_id, account, row)
  local fields = {
    FIELD.sealed, sealed, FIELD.occurred_us, occurred_us, FIELD.wish, wish, FIELD.event_id, event_id,
    FIELD.revision, old.revision == 0 and '1' or whole(old.revision + 1),
  }
  local function add(name, value)
    fields[#fields + 1] = name
    fields[#fields + 1] = value
  end
  if old.state ~= 'flight' then add(FIELD.state, 'due') end
  if old.lane ~= lane then add(FIELD.lane, lane) end
  if not old.occurred_us then add(FIELD.instance, instance) end
  if account ~= '' then add(FIELD.account_id, account) end
  if row then add(FIELD.row, row) end
  redis.call('HSET', key, unpack(fields))
  if old.has_past then
    redis.call('HDEL', key, FIELD.is_counted, FIELD.failures, FIELD.first_failure, FIELD.failures_while_down,
      FIELD.held_before_failure, FIELD.letter, FIELD.refused_by)
  end
  if old.row and not row then redis.call('HDEL', key, FIELD.row) end
end

local instances = {}

-- `row`: the wish is this one of a backfill.
local function take_in(key, old, now, ref, instance, sealed, occurred_us, wish, event_id, account, wanted_lane, row)
  count(instance, 'recorded')
  if old.occurred_us then
    local order = compare(occurred_us, wish, event_id, old)
    if order == 0 then count(instance, 'duplicate') return 'duplicate' end
    if order < 0 then count(instance, 'superseded') return 'superseded' end
    if old.is_counted ~= '1' then count(instance, 'superseded') end
  end
  if old.letter then close_letter(old.letter, 'superseded', now) end
  if old.row and old.state ~= 'dead' then end_row_of(old.row, 'superseded', '', now) end
  local lane = lane_for(old, wanted_lane)
  if not instances[instance] then redis.call('SADD', 'nightly:instances', instance) end
  instances[instance] = true
  store(key, old, lane, instance, sealed, occurred_us, wish, event_id, account, row)
  if old.state ~= 'flight' then
    if old.occurred_us and old.lane ~= lane then take(due_key(instance, old.lane), ref) end
    put_due(ref, instance, lane, now, old.rests_until)
  end
  return 'recorded'
end
