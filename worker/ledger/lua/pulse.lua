-- Once a second from every worker, and after every recording: take back lost leases, and say whether a
-- reconcile message should be sent. Any worker's pulse heals what any dead worker left behind.
-- ARGV  now (ms or ''), worker ('' when the caller only asks), slots, about the worker (JSON),
--       rest after a lost lease (ms, may be negative; '' leaves lost leases alone), then pairs: instance,
--       fingerprint of its configuration
-- Reply {due now (of those instances, where calls may be made), leases lost, 1 if a message should be sent,
--        notices for a person, which this worker passes on and then takes off the list}

local now = clock(ARGV[1])
local worker, rest = ARGV[2], tonumber(ARGV[5])
local HEARD_OF, FORGOTTEN = 10000, 60000
local REAP_AT_MOST = 500
local LOGINS_A_RECONCILER = 100
local HINT_LIFE = 1000
local LOST_IN_A_ROW = 10
local NOTICES, NOTICE_AGAIN = 10, 15000

if is_newer() then return refuse_newer() end

-- A login whose calls never end, ten times in a row, kills or stops whoever calls it: it is set aside.
local function set_aside(ref, instance, login)
  give_up(ref, instance, login, {
    code = 'retries_exhausted', status = '',
    message = 'ten calls in a row never ended: the workers that made them were killed or stopped',
  }, now)
end

local function reap(instance)
  local lost = redis.call('ZRANGEBYSCORE', leases_key(instance), '-inf', now, 'WITHSCORES', 'LIMIT', 0, REAP_AT_MOST)
  for i = 1, #lost, 2 do
    local ref, login = lost[i], read_flight(lost[i])
    remember(ref, cjson.encode({
      at = now, revision = tonumber(login.c), wish = login.cw == '1', outcome = 'lease_lost', code = 'lease_lost',
    }), 'RPUSH')
    count(instance, 'ambiguous')
    count(instance, 'leases_lost')
    redis.call('HSET', login_key(ref), 'z', 'lease_lost', 'g', '1')
    if login.b + 1 >= LOST_IN_A_ROW and login.r == login.c then
      set_aside(ref, instance, login)
    else
      put_back(ref, instance, login, now, tonumber(lost[i + 1]) + rest)
      redis.call('HSET', login_key(ref), 'b', login.b + 1)
    end
  end
  return #lost / 2
end

-- Workers heard of lately, and how many reconcilers they may run beside their intake.
local function capacity()
  local slots, all = 0, redis.call('HGETALL', 'nightly:workers')
  for i = 1, #all, 2 do
    local seen = cjson.decode(all[i + 1])
    if now - seen.at > FORGOTTEN then
      redis.call('HDEL', 'nightly:workers', all[i])
    elseif now - seen.at <= HEARD_OF then
      slots = slots + math.max(1, seen.slots - 1)
    end
  end
  return math.max(1, slots)
end

local function can_call(instance, fingerprint)
  local admitted = admission(read_gate(instance), read_config(instance, fingerprint), now)
  if admitted == 'closed' or admitted == 'waiting' then return false end
  return (tonumber(redis.call('HGET', rate_key(instance), 'paused_until') or '0') or 0) <= now
end

-- Whoever takes a notice has a while to pass it on; then it is another worker's.
local function take_notices()
  local texts = redis.call('ZRANGEBYSCORE', 'nightly:notices', '-inf', now, 'LIMIT', 0, NOTICES)
  for _, text in ipairs(texts) do redis.call('ZADD', 'nightly:notices', now + NOTICE_AGAIN, text) end
  return texts
end

if worker ~= '' then
  local about = cjson.decode(ARGV[4])
  about.at, about.slots = now, tonumber(ARGV[3])
  redis.call('HSET', 'nightly:workers', worker, cjson.encode(about))
end

local lost = 0
if rest then
  for _, instance in ipairs(redis.call('SMEMBERS', 'nightly:instances')) do lost = lost + reap(instance) end
end

local due = 0
for i = 6, #ARGV, 2 do
  if can_call(ARGV[i], ARGV[i + 1]) then
    for _, lane in ipairs({ 'live', 'backfill' }) do
      due = due + redis.call('ZCOUNT', due_key(ARGV[i], lane), '-inf', now)
    end
  end
end

forget_silent_reconcilers(now)
local active = redis.call('ZCARD', 'nightly:reconcilers')
local wanted = math.min(capacity(), math.ceil(due / LOGINS_A_RECONCILER))
local send = 0
if active < wanted and redis.call('SET', 'nightly:hint', '1', 'NX', 'PX', HINT_LIFE) then send = 1 end
return { due, lost, send, worker ~= '' and take_notices() or {} }
