-- Say whether a reconcile message should be sent: once a second for every worker, as its sign of life, and after every
-- recording. A sign of life also takes back lost leases: any worker heals what any dead worker left behind.
-- ARGV  now (ms or ''), worker, slots (0: the caller only asks), about the worker (JSON, with the ids of its `keys`), then
--       pairs: instance, fingerprint of its configuration
-- Reply {due now (of those instances, where calls may be made), leases lost, 1 if a message should be sent to a worker
--        that holds the caller's newest key, notices for a person, which this worker passes on and then takes off the list,
--        1 if a message should be sent that has the lanes of backfills filled}

local now = clock(ARGV[1])
local worker = ARGV[2]
local is_alive = tonumber(ARGV[3]) > 0
local FORGOTTEN = 60000
local REAP_AT_MOST = 500
local LOGINS_A_RECONCILER = 100
local HINT_LIFE = 1000
local LOST_IN_A_ROW, LONGEST_WAIT = 10, 3600000
local NOTICES, NOTICE_AGAIN = 10, 15000
local LINGER = 1000 -- a slice waits so long for its next call; before that it is not worth beginning

if is_newer() then return refuse_newer() end

-- A login whose calls never end, ten times in a row, kills or stops whoever calls it: it is set aside. The waits
-- between grow, so that an innocent one, lost with others in a crash loop, is not there each time.
local function set_aside(ref, instance, login, rests_until)
  give_up(ref, instance, login, {
    code = 'retries_exhausted', status = '',
    message = 'ten calls in a row never ended: the workers that made them were killed or stopped',
  }, now, rests_until)
end

-- The login rests from now on, not from the end of its lease: where Redis' clock was set forward, its call is still out.
local function take_back(ref, instance, login, rest)
  remember_attempt(ref, string.format('[%.0f,%s,%s,null,"lease_lost","lease_lost"]', now, login.claimed_revision,
    tostring(login.claimed_wish == '1')))
  count(instance, 'ambiguous')
  count(instance, 'leases_lost')
  redis.call('HSET', login_key(ref), FIELD.last_code, 'lease_lost', FIELD.lease_was_lost, '1')
  local before = tonumber(login.leases_lost or '0')
  if before + 1 >= LOST_IN_A_ROW and login.revision == login.claimed_revision then
    set_aside(ref, instance, login, now + rest)
    return
  end
  local wait = before > 0 and math.min(2 ^ before * 1000, LONGEST_WAIT) or 0
  put_back(ref, instance, login, now + wait, now + rest)
  redis.call('HSET', login_key(ref), FIELD.leases_lost, before + 1)
end

-- Returns how many leases were taken back. That of a login which somebody deleted, or wrote something else over, is
-- dropped, or it would stop every pulse.
local function reap(instance)
  local taken_back = 0
  for _, ref in ipairs(redis.call('ZRANGEBYSCORE', leases_key(instance), '-inf', now, 'LIMIT', 0, REAP_AT_MOST)) do
    local is_read, login, rest = pcall(read_flight, ref)
    if is_read and login.state == 'flight' then
      take_back(ref, instance, login, rest)
      taken_back = taken_back + 1
    else
      take(leases_key(instance), ref)
    end
  end
  return taken_back
end

local function forget_silent_workers()
  local all = redis.call('HGETALL', 'nightly:workers')
  for i = 1, #all, 2 do
    if now - cjson.decode(all[i + 1]).at > FORGOTTEN then redis.call('HDEL', 'nightly:workers', all[i]) end
  end
end

-- Forget which keys were missing, where a live worker holds them by now, or no login asks for them any more.
local function forget_found_keys(workers)
  local all = redis.call('HGETALL', 'nightly:missing-keys')
  for i = 1, #all, 2 do
    local last = tonumber(all[i + 1]:match(':(%d+)$')) or 0
    if is_held_by_any(workers, all[i]) or now - last > MISSING_FORGOTTEN then
      redis.call('HDEL', 'nightly:missing-keys', all[i])
    end
  end
end

-- How many reconcilers there may be that hold a key (nil: any), beside their workers' intake, and how many there are.
local function reconcilers_with(key_id, workers)
  local slots, active = 0, 0
  for _, about in pairs(workers) do
    if not key_id or holds(about, key_id) then slots = slots + math.max(1, about.slots - 1) end
  end
  for _, member in ipairs(redis.call('ZRANGE', 'nightly:reconcilers', 0, -1)) do
    local about = workers[member:match('^(.*)|')]
    if not key_id or (about and holds(about, key_id)) then active = active + 1 end
  end
  return math.max(1, slots), active
end

-- Note once a day that a configuration whose standing is known is in use.
local function note_use(instance, fingerprint)
  local key, field = configs_key(instance), used_field(fingerprint)
  local standing, used_at = unpack(redis.call('HMGET', key, fingerprint, field))
  if standing and math.abs(now - tonumber(used_at or '0')) >= DAY then redis.call('HSET', key, field, whole(now)) end
end

local function can_call(instance, fingerprint)
  if redis.call('EXISTS', bench_key(instance, worker)) == 1 then return false end
  local admitted = admission(read_gate(instance), read_config(instance, fingerprint), now)
  if admitted == 'closed' or admitted == 'waiting' then return false end
  local paused_until, tat, rate = unpack(redis.call('HMGET', rate_key(instance), 'paused_until', 'tat', 'ceiling'))
  if is_ahead(tonumber(paused_until or '0') or 0, now, LONGEST_PAUSE) then return false end
  local longest = 1000 / math.min(tonumber(rate or '1') or 1, 1) + 5000 -- no call is that far ahead of the next
  return not is_ahead((tonumber(tat or '0') or 0) - LINGER, now, longest)
end

-- Whether a backfill has rows for a lane that is emptier than it should be, where calls may be made.
local function wants_feeding(callable)
  for _, id in ipairs(redis.call('SMEMBERS', 'nightly:backfills:running')) do
    local status, instance, fed, rows = unpack(redis.call('HMGET', backfill_key(id), 'status', 'instance', 'fed', 'rows'))
    if status == 'running' and fed ~= rows and callable[instance] then
      local room, limit = lane_room(instance, now)
      if room * 4 > limit then return true end
    end
  end
  return false
end

-- Whoever takes a notice has a while to pass it on; then it is another worker's.
local function take_notices()
  local texts = redis.call('ZRANGEBYSCORE', 'nightly:notices', '-inf', now, 'LIMIT', 0, NOTICES)
  for _, text in ipairs(texts) do redis.call('ZADD', 'nightly:notices', now + NOTICE_AGAIN, text) end
  return texts
end

-- While no worker was alive, no wish aged.
local function count_silence()
  local alive_at = tonumber(redis.call('GET', 'nightly:alive') or '')
  if alive_at and now - alive_at > SILENT then
    for _, instance in ipairs(redis.call('SMEMBERS', 'nightly:instances')) do
      local gate = read_gate(instance)
      count_held(instance, gate, alive_at, math.min(gate.held_since or now, now), now)
    end
  end
  redis.call('SET', 'nightly:alive', whole(now))
end

if is_alive then
  count_silence()
  local about = cjson.decode(ARGV[4])
  about.at, about.slots = now, tonumber(ARGV[3])
  redis.call('HSET', 'nightly:workers', worker, cjson.encode(about))
end

local lost = 0
if is_alive then
  gathering(function()
    for _, instance in ipairs(redis.call('SMEMBERS', 'nightly:instances')) do lost = lost + reap(instance) end
  end)
end

local due, callable = 0, {}
for i = 5, #ARGV, 2 do
  note_use(ARGV[i], ARGV[i + 1])
  if can_call(ARGV[i], ARGV[i + 1]) then
    callable[ARGV[i]] = true
    for _, lane in ipairs({ 'live', 'backfill' }) do
      due = due + redis.call('ZCOUNT', due_key(ARGV[i], lane), '-inf', now)
    end
  end
end

if is_alive then tidy(now) end
-- What the caller takes in is sealed under its newest key: only reconcilers that hold that one can work on it.
forget_silent_workers()
forget_silent_reconcilers(now)
local workers = live_workers(now)
forget_found_keys(workers)
local newest = workers[worker] and (workers[worker].keys or {})[1]
local capacity, active = reconcilers_with(newest, workers)
local wanted = math.min(capacity, math.ceil(due / LOGINS_A_RECONCILER))
local send = 0
if active < wanted and redis.call('SET', hint_key(newest), '1', 'NX', 'PX', HINT_LIFE) then send = 1 end
local feed = 0
if is_alive and wants_feeding(callable) and redis.call('SET', 'nightly:feed-hint', '1', 'NX', 'PX', HINT_LIFE) then
  feed = 1
end
return { due, lost, send, is_alive and take_notices() or {}, feed }
