-- Feed the next rows of a backfill into its instance's lane. Each row is a wish of the time as_of whose event id is the
-- row's name, so it overrides no newer wish. The cursor moves in the same script, so no row is fed twice (P1, P3, P5).
-- ARGV  1 now (ms or ''), 2 id, 3 fingerprint of the caller's configuration for its instance, 4 number of the first row
--       5 and on, for each row: reference ('': the row is invalid), sealed loginId, account id
-- Reply {state, rows fed, room left in the lane for more of its rows}
--       state: fed | moved (another feeder was faster) | shut (that configuration may make no calls now) | full (the
--              lane) | slow (by the backfill's own rate) | unknown, or the backfill's status when it is not `running`

local FIRST_ROW, FIELDS = 5, 3

-- Returns the rows, and their sealed loginIds.
local function read_rows(number)
  local rows, sealed_values = {}, {}
  for at = FIRST_ROW, #ARGV, FIELDS do
    local ref, sealed, account_id = unpack(ARGV, at, at + FIELDS - 1)
    rows[#rows + 1] = { number = number, ref = ref, sealed = sealed, account_id = account_id }
    sealed_values[#sealed_values + 1] = sealed
    number = number + 1
  end
  return rows, sealed_values
end

local now, id, fingerprint, first = clock(ARGV[1]), ARGV[2], ARGV[3], tonumber(ARGV[4])
local given_rows, sealed_values = read_rows(first)

if is_newer() then return refuse_newer() end
local status, fed, rows, instance, wish, reassert, as_of, rate, tat = unpack(redis.call('HMGET', backfill_key(id),
  'status', 'fed', 'rows', 'instance', 'wish', 'reassert', 'as_of_us', 'rate', 'tat'))
if status ~= 'running' then return { status or 'unknown', 0, 0 } end
if tonumber(fed) ~= first then return { 'moved', 0, 0 } end
local admitted = admission(read_gate(instance), read_config(instance, fingerprint), now)
if admitted == 'closed' or admitted == 'waiting' then return { 'shut', 0, 0 } end
local room = lane_room(instance, now)
if room < 1 then return { 'full', 0, 0 } end
local allowed, tat_after = rows_allowed(rate, tat, rows - first, now)
if allowed < 1 and first < tonumber(rows) then return { 'slow', 0, 0 } end

local function feed_as_of(row, old)
  local name = name_of(id, row.number)
  local new = {
    ref = row.ref, instance = instance, sealed = row.sealed, occurred_us = as_of, wish = wish == 'on' and '1' or '0',
    event_id = name, account_id = row.account_id, lane = 'backfill', row = name,
  }
  if old.occurred_us and (old.event_id or ''):sub(1, #id + 1) == id .. ':' then return 'duplicate' end
  local is_confirmed = old.state == 'done' and old.confirmed
  if is_confirmed and reassert ~= '1' and old.wish == new.wish and compare(new, old) > 0 then
    local key = login_key(row.ref)
    redis.call('HSET', key, FIELD.newest, newest_text(old.revision + 1, new.wish, as_of, instance), FIELD.event_id, name,
      FIELD.confirmed, (old.confirmed:gsub('^%d+', old.revision + 1)))
    if row.account_id ~= '' then redis.call('HSET', key, FIELD.account_id, row.account_id) end
    return 'already'
  end
  local taken = record_wish(new, old, now)
  return taken ~= 'recorded' and taken or nil
end

-- Assert the login's own wish again, at its own time: the tally holds its event already and does not count it twice.
-- The row of a login that waits or is in flight ends with its call, that of a dead login at once as `dead`; a replay
-- makes that row wait again.
local function feed_as_is(row, old)
  if not old.occurred_us then return 'invalid', 'unknown_login' end
  if old.row and names_row_of(old.row, id) then return 'duplicate' end
  if old.row and old.state ~= 'dead' then end_row_of(old.row, 'superseded', '', now) end
  local key = login_key(row.ref)
  redis.call('HSET', key, FIELD.row, name_of(id, row.number))
  if old.state == 'dead' then return 'dead', old.last_code end
  if old.state == 'flight' then redis.call('HSET', key, FIELD.claim, not_healthy(old.claim)) end
  if old.state ~= 'done' then return end
  local newest = newest_text(old.revision + 1, old.wish, old.occurred_us, instance)
  redis.call('HSET', key, FIELD.state, 'due', FIELD.is_counted, '1', FIELD.newest, newest, FIELD.lane, 'backfill')
  put_due(row.ref, instance, 'backfill', now, old.rests_until)
end

-- Returns the outcome of the row and its code; nothing while it waits for its call.
local function feed(row)
  if row.ref == '' then return 'invalid', '' end
  local old = read_standing(row.ref)
  if wish == 'as-is' then return feed_as_is(row, old) end
  return feed_as_of(row, old)
end

count_seals(sealed_values, now)
return gathering(function()
  local count_fed = 0
  for _, row in ipairs(given_rows) do
    if room < 1 or count_fed >= allowed then break end
    local outcome, code = feed(row)
    if outcome then end_row(id, row.number, outcome, code or '', now) else room = room - 1 end
    count_fed = count_fed + 1
  end
  if count_fed > 0 then
    redis.call('HSET', backfill_key(id), 'fed', first + count_fed, 'tat', tat_after(count_fed))
  end
  return { 'fed', count_fed, math.min(room, allowed - count_fed) }
end)
