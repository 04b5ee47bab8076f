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
  local difference = tonumber(occurred_us) - tonumber(old.t)
  if difference ~= 0 then return difference end
  if wish ~= old.w then return wish == '0' and 1 or -1 end
  return event_id == old.e and 0 or compare_bytes(event_id, old.e)
end

local UNKNOWN = { r = 0, h = 0, l = 'live' }

-- Read a login that an event may change: r and h as numbers; has_past where something is to be forgotten.
local function read_standing(ref)
  local login = read_login(ref)
  if not login.t then return UNKNOWN end
  login.r, login.h, login.l = tonumber(login.r), tonumber(login.h or '0'), login.l or 'live'
  login.has_past = login.q or login.x or login.n or login.f or login.d or login.j or login.u
  return login
end

-- A live event lifts its login out of the backfill lane; a backfill never demotes a waiting one.
local function lane_for(old, lane)
  if old.s == 'due' or old.s == 'flight' then
    return (lane == 'live' or old.l == 'live') and 'live' or 'backfill'
  end
  return lane
end

-- A login in flight stays so: its settlement sees the new revision.
local function store(key, old, lane, instance, sealed, occurred_us, wish, event_id, account, row)
  local fields = { 'v', sealed, 't', occurred_us, 'w', wish, 'e', event_id, 'r', old.r == 0 and '1' or whole(old.r + 1) }
  local function add(name, value)
    fields[#fields + 1] = name
    fields[#fields + 1] = value
  end
  if old.s ~= 'flight' then add('s', 'due') end
  if old.l ~= lane then add('l', lane) end
  if not old.t then add('i', instance) end
  if account ~= '' then add('a', account) end
  if row then add('p', row) end
  redis.call('HSET', key, unpack(fields))
  if old.has_past then redis.call('HDEL', key, 'q', 'n', 'f', 'd', 'j', 'x', 'u') end
  if old.p and not row then redis.call('HDEL', key, 'p') end
end

local instances = {}

-- `row`: the wish is this one of a backfill.
local function take_in(key, old, now, ref, instance, sealed, occurred_us, wish, event_id, account, wanted_lane, row)
  count(instance, 'recorded')
  if old.t then
    local order = compare(occurred_us, wish, event_id, old)
    if order == 0 then count(instance, 'duplicate') return 'duplicate' end
    if order < 0 then count(instance, 'superseded') return 'superseded' end
    if old.q ~= '1' then count(instance, 'superseded') end
  end
  if old.x then close_letter(old.x, 'superseded', now) end
  if old.p and old.s ~= 'dead' then end_row_of(old.p, 'superseded', '', now) end
  local lane = lane_for(old, wanted_lane)
  if not instances[instance] then redis.call('SADD', 'nightly:instances', instance) end
  instances[instance] = true
  store(key, old, lane, instance, sealed, occurred_us, wish, event_id, account, row)
  if old.s ~= 'flight' then
    if old.t and old.l ~= lane then take(due_key(instance, old.l), ref) end
    put_due(ref, instance, lane, now, old.h)
  end
  return 'recorded'
end
