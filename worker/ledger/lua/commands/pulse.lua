-- Say whether messages should be sent: to reconcilers, if too few run, and to feed backfills. A worker runs it once
-- a second as its heartbeat, which also takes back lost leases: any worker heals what a dead one left behind. It runs
-- without a heartbeat (slots 0) after events were recorded.
-- ARGV  1 now (ms or ''), 2 worker, 3 slots (0: no heartbeat), 4 about the worker (JSON, with the ids of its `keys`,
--         and those of its `processes`)
--       5 and on, for each instance of the caller: its name, fingerprint of the caller's configuration for it
-- Reply {logins due now on those instances, where calls may be made; leases taken back; 1 to send a message to a
--        reconciler that holds the newest key of the caller; notices to pass on and then delete; 1 to send
--        a message that feeds backfills}

local FIRST_INSTANCE = 5
local FORGOTTEN = 60000
local REAP_AT_MOST = 500
local LOGINS_A_RECONCILER = 100
local LOST_IN_A_ROW, LONGEST_WAIT = 10, 3600000
local NOTICES, NOTICE_AGAIN = 10, 15000
local LINGER = 1000 -- a reconciler waits this long for its next call; one that would wait longer is not started

local function read_instances()
  local instances = {}
  for at = FIRST_INSTANCE, #ARGV, 2 do
    instances[#instances + 1] = { name = ARGV[at], fingerprint = ARGV[at + 1] }
  end
  return instances
end

local now, worker, slots, about_worker = clock(ARGV[1]), ARGV[2], tonumber(ARGV[3]), ARGV[4]
local instances = read_instances()
local is_heartbeat = slots > 0

if is_newer() then return refuse_newer() end

-- A login whose lease is lost ten times in a row probably kills or stops the workers that call it: it becomes a dead
-- letter. The waits between grow, so that other logins of a crash loop are not in flight at each crash.
local function give_up_after_losses(ref, instance, login, rests_until)
  give_up(ref, instance, login, {
    code = 'retries_exhausted', status = '',
    message = 'ten calls in a row never ended: the workers that made them were killed or stopped',
  }, now, rests_until)
end

-- The login rests from now on, not from the end of its lease: if Redis' clock was set forward, its call may still be
-- out.
local function take_back(ref, instance, login, rest)
  remember(ref, string.format('[%.0f,null,%s,%s,"lease_lost",null,null,"lease_lost"]', now, login.claimed_revision,
    login.claimed_wish))
  count(instance, 'ambiguous')
  count(instance, 'leases_lost')
  redis.call('HSET', login_key(ref), FIELD.last_code, 'lease_lost', FIELD.lease_was_lost, '1')
  local before = number_or_zero(login.leases_lost)
  if before + 1 >= LOST_IN_A_ROW and login.revision == login.claimed_revision then
    give_up_after_losses(ref, instance, login, now + rest)
    return
  end
  local wait = before > 0 and math.min(2 ^ before * 1000, LONGEST_WAIT) or 0
  put_back(ref, instance, login, now + wait, now + rest)
  redis.call('HSET', login_key(ref), FIELD.leases_lost, before + 1)
end

-- Returns how many leases were taken back. Of a login that a person deleted, only the lease is left to delete; one whose
-- state a person damaged is in flight, as it has a lease.
local function reap(instance)
  local taken_back = 0
  for _, ref in ipairs(redis.call('ZRANGEBYSCORE', leases_key(instance), '-inf', now, 'LIMIT', 0, REAP_AT_MOST)) do
    local login, rest = read_flight(ref)
    if login.state == 'flight' or (login.newest and not IS_STATE[login.state]) then
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
    local about = read_about(all[i + 1])
    if not about or now - about.at > FORGOTTEN then redis.call('HDEL', 'nightly:workers', all[i]) end
  end
end

-- Forget missing keys that a live worker holds now, or that no login has needed for a while.
local function forget_found_keys(workers)
  local all = redis.call('HGETALL', 'nightly:missing-keys')
  for i = 1, #all, 2 do
    local last = tonumber(all[i + 1]:match(':(%d+)$')) or 0
    if is_held_by_any(workers, all[i]) or now - last > MISSING_FORGOTTEN then
      redis.call('HDEL', 'nightly:missing-keys', all[i])
    end
  end
end

-- Whether a worker calls for all the instances of the caller.
local function serves(about)
  local served = {}
  for _, name in ipairs(about.instances or {}) do served[name] = true end
  for _, instance in ipairs(instances) do
    if about.instances and not served[instance.name] then return false end
  end
  return true
end

-- Returns how many reconcilers may run that hold a key (nil: any), one slot of each worker that has several left to
-- intake, and how many run for the caller's instances.
local function reconcilers_with(key_id, workers)
  local slots, active = 0, 0
  for _, about in pairs(workers) do
    if not key_id or holds(about, key_id) then slots = slots + math.max(1, about.slots - 1) end
  end
  for _, member in ipairs(redis.call('ZRANGE', 'nightly:reconcilers', 0, -1)) do
    local about = workers[member:match('^(.*)|')]
    if not key_id or (about and holds(about, key_id) and serves(about)) then active = active + 1 end
  end
  return math.max(1, slots), active
end

-- Note once a day that a configuration whose standing is known is in use.
local function note_use(instance)
  local key, field = configs_key(instance.name), used_field(instance.fingerprint)
  local standing, used_at = unpack(redis.call('HMGET', key, instance.fingerprint, field))
  used_at = number_or_zero(used_at)
  if standing and math.abs(now - used_at) >= DAY then redis.call('HSET', key, field, whole(now)) end
end

local function can_call(instance)
  if excluded_ms(instance.name, worker) > 0 then return false end
  local admitted = admission(read_gate(instance.name), read_config(instance.name, instance.fingerprint), now)
  if admitted == 'closed' or admitted == 'waiting' then return false end
  local paused_until, tat, rate = unpack(redis.call('HMGET', rate_key(instance.name),
    'paused_until', 'tat', 'ceiling'))
  if is_ahead(number_or_zero(paused_until), now, LONGEST_PAUSE) then return false end
  local longest = 1000 / math.min(tonumber(rate or '1') or 1, 1) + 5000 -- the next call is never further ahead
  return not is_ahead(number_or_zero(tat) - LINGER, now, longest)
end

-- Whether a backfill or a bulk job has rows left for a lane that has much room, on an instance where calls may be made.
local function wants_feeding(callable)
  local function has_room(instance)
    if not callable[instance] then return false end
    local room, limit = lane_room(instance, now)
    return room * 4 > limit
  end
  for _, id in ipairs(redis.call('SMEMBERS', 'nightly:backfills:running')) do
    local status, instance, fed, rows = unpack(redis.call('HMGET', backfill_key(id),
      'status', 'instance', 'fed', 'rows'))
    if status == 'running' and fed ~= rows then
      if id:find(JOB) then
        if job_wants_feeding(id, has_room) then return true end
      elseif has_room(instance) then
        return true
      end
    end
  end
  return false
end

-- A worker has a while to pass a notice on and delete it; after that the next pulse hands it out again.
local function take_notices()
  local texts = redis.call('ZRANGEBYSCORE', 'nightly:notices', '-inf', now, 'LIMIT', 0, NOTICES)
  for _, text in ipairs(texts) do redis.call('ZADD', 'nightly:notices', now + NOTICE_AGAIN, text) end
  return texts
end

-- Time without a live worker does not count towards the age of a wish.
local function count_silence()
  local alive_at = number_or_nil(redis.call('GET', 'nightly:alive'))
  if alive_at and now - alive_at > SILENT then
    for _, instance in ipairs(redis.call('SMEMBERS', 'nightly:instances')) do
      local gate = read_gate(instance)
      count_held(instance, gate, alive_at, math.min(gate.held_since or now, now), now)
    end
  end
  redis.call('SET', 'nightly:alive', whole(now))
end

if is_heartbeat then
  count_silence()
  local about = cjson.decode(about_worker)
  forget_dead_reconcilers(worker, about.processes or {})
  about.at, about.slots, about.processes = now, slots, nil
  redis.call('HSET', 'nightly:workers', worker, cjson.encode(about))
end

local lost = 0
if is_heartbeat then
  gathering(function()
    for _, instance in ipairs(redis.call('SMEMBERS', 'nightly:instances')) do lost = lost + reap(instance) end
  end)
end

local due, callable, are_all_callable = 0, {}, #instances > 0
for _, instance in ipairs(instances) do
  note_use(instance)
  if not can_call(instance) then
    are_all_callable = false
  else
    callable[instance.name] = true
    for _, lane in ipairs({ 'live', 'backfill' }) do
      due = due + redis.call('ZCOUNT', due_key(instance.name, lane), '-inf', now)
    end
  end
end

if is_heartbeat then
  tidy(now)
  note_minute(now)
end
forget_silent_workers()
forget_silent_reconcilers(now)
local workers = live_workers(now)
forget_found_keys(workers)
-- Events of the caller are sealed under its newest key: only reconcilers that hold that key can call those logins.
local caller = workers[worker] or { slots = 1 }
local newest = (caller.keys or {})[1]
local capacity, active = reconcilers_with(newest, workers)
-- A worker with a slot to spare keeps one reconciler, which waits for the next event.
local least = are_all_callable and caller.slots > 1 and 1 or 0
local wanted = math.min(capacity, math.max(math.ceil(due / LOGINS_A_RECONCILER), least))
local send = 0
if active < wanted and may_send(hint_key(newest)) then send = 1 end
local feed = 0
if is_heartbeat and wants_feeding(callable) and may_send('nightly:feed-hint') then feed = 1 end
return { due, lost, send, is_heartbeat and take_notices() or {}, feed }
