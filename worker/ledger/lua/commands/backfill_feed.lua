-- Hand the next rows of a backfill over to its instance's lane. Each is a wish of the time as_of, and its event id is
-- its name, so no newer wish is overridden; the cursor moves with them, so no row is handed over twice (P1, P3, P5).
-- ARGV  now (ms or ''), id, fingerprint of the caller's configuration for its instance, the row to begin with, then for
--       each row: reference (empty: the row is invalid), sealed loginId, account id
-- Reply {state, rows handed over, room left in the lane for more of it}
--       state: fed | moved (another feeder was faster) | shut (that configuration may make no calls now) | full (the lane) |
--              slow (by its own rate) | unknown, or the backfill's status when that is not `running`

if is_newer() then return refuse_newer() end
local now, id, fingerprint, first = clock(ARGV[1]), ARGV[2], ARGV[3], tonumber(ARGV[4])
local BURST = 2000 -- ms of its own rate that may be handed over at once
local FIELDS_A_ROW = 3

local status, fed, rows, instance, wish, reassert, as_of, rate, tat = unpack(redis.call('HMGET', backfill_key(id),
  'status', 'fed', 'rows', 'instance', 'wish', 'reassert', 'as_of_us', 'rate', 'tat'))
if status ~= 'running' then return { status or 'unknown', 0, 0 } end
if tonumber(fed) ~= first then return { 'moved', 0, 0 } end
local admitted = admission(read_gate(instance), read_config(instance, fingerprint), now)
if admitted == 'closed' or admitted == 'waiting' then return { 'shut', 0, 0 } end
local room = lane_room(instance, now)
if room < 1 then return { 'full', 0, 0 } end

-- Its own rate, a bucket as the calls' one: `tat` is when it is full again.
local interval = tonumber(rate) and 1000 / tonumber(rate) or 0
local burst = later(BURST, interval)
tat = later(tonumber(tat or '0') or 0, now)
if tat > now + burst + BURST then tat = now end -- never that far ahead, unless the clock was set back
local allowed = interval > 0 and math.floor((now + burst - tat) / interval + 0.000001) or rows - first
if allowed < 1 and first < tonumber(rows) then return { 'slow', 0, 0 } end

local function hand_over_as_of(key, old, row, ref, sealed, account)
  local wanted, name = wish == 'on' and '1' or '0', name_of(id, row)
  if old.occurred_us and old.event_id:sub(1, #id + 1) == id .. ':' then return 'duplicate' end
  if old.state == 'done' and reassert ~= '1' and old.wish == wanted and compare(as_of, wanted, name, old) > 0 then
    redis.call('HSET', key, FIELD.occurred_us, as_of, FIELD.event_id, name, FIELD.revision, old.revision + 1)
    redis.call('HSET', key, FIELD.confirmed, (old.confirmed:gsub('^%d+', old.revision + 1)))
    if account ~= '' then redis.call('HSET', key, FIELD.account_id, account) end
    return 'already'
  end
  local taken = take_in(key, old, now, ref, instance, sealed, as_of, wanted, name, account, 'backfill', name)
  return taken ~= 'recorded' and taken or nil
end

-- The login's own wish once more, at its own time: its event has ended in the tally, and ends there no second time. The
-- row of a login that waits or is in flight ends as its call does, and that of a dead one as its letter; it waits again
-- when that is replayed.
local function hand_over_as_is(key, old, row, ref)
  if not old.occurred_us then return 'invalid', 'unknown_login' end
  if old.row and old.row:sub(1, #id + 1) == id .. ':' then return 'duplicate' end
  if old.row and old.state ~= 'dead' then end_row_of(old.row, 'superseded', '', now) end
  redis.call('HSET', key, FIELD.row, name_of(id, row))
  if old.state == 'dead' then return 'dead', old.last_code end
  if old.state ~= 'done' then return end
  redis.call('HSET', key, FIELD.state, 'due', FIELD.revision, old.revision + 1, FIELD.lane, 'backfill')
  put_due(ref, instance, 'backfill', now, old.rests_until)
end

-- Returns what the row ended as, and its code; nothing where it waits for its call.
local function hand_over(row, ref, sealed, account)
  if ref == '' then return 'invalid', '' end
  local key = login_key(ref)
  local old = read_standing(ref)
  if wish == 'as-is' then return hand_over_as_is(key, old, row, ref) end
  return hand_over_as_of(key, old, row, ref, sealed, account)
end

count_seals(ARGV, 6, FIELDS_A_ROW, now)
return gathering(function()
  local row, at = first, 5
  while at <= #ARGV and room > 0 and row - first < allowed do
    local outcome, code = hand_over(row, unpack(ARGV, at, at + FIELDS_A_ROW - 1))
    if outcome then end_row(id, row, outcome, code or '', now) else room = room - 1 end
    row, at = row + 1, at + FIELDS_A_ROW
  end
  if row > first then
    redis.call('HSET', backfill_key(id), 'fed', row, 'tat', string.format('%.3f', tat + (row - first) * interval))
  end
  return { 'fed', row - first, math.min(room, allowed - (row - first)) }
end)
