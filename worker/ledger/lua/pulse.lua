-- Once a second from every worker, and after every recording: take back lost leases, and say whether a
-- reconcile message should be sent. Any worker's pulse heals what any dead worker left behind.
-- ARGV  now (ms or ''), worker ('' when the caller only asks), slots, about the worker (JSON),
--       rest after a lost lease (ms, may be negative; '' leaves lost leases alone), then pairs: instance,
--       fingerprint of its configuration
-- Reply {due now (of those instances, where calls may be made), leases lost, 1 if a message should be sent}

local now = clock(ARGV[1])
local worker, rest = ARGV[2], tonumber(ARGV[5])
local HEARD_OF, FORGOTTEN = 10000, 60000
local REAP_AT_MOST = 500
local LOGINS_A_RECONCILER = 100
local HINT_LIFE = 1000

local function reap(instance)
  local lost = redis.call('ZRANGEBYSCORE', leases_key(instance), '-inf', now, 'WITHSCORES', 'LIMIT', 0, REAP_AT_MOST)
  for i = 1, #lost, 2 do
    local ref, login = lost[i], read_flight(lost[i])
    redis.call('RPUSH', attempts_key(ref), cjson.encode({
      at = now, revision = tonumber(login.c), wish = login.cw == '1', outcome = 'lease_lost', code = 'lease_lost',
    }))
    redis.call('PEXPIRE', attempts_key(ref), 30 * DAY)
    count(instance, 'ambiguous')
    count(instance, 'leases_lost')
    redis.call('HSET', login_key(ref), 'z', 'lease_lost')
    redis.call('HSET', login_key(ref), 'g', '1')
    put_back(ref, instance, login, now, tonumber(lost[i + 1]) + rest)
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
  local gate = redis.call('HMGET', gate_key(instance), 'state', 'cause')
  if gate[1] == 'closed' and gate[2] ~= 'halt' then return false end
  local config = redis.call('HMGET', configs_key(instance), fingerprint, fingerprint .. ':canary')
  if config[1] == 'refused' then return false end
  if config[1] ~= 'proven' and (tonumber(config[2] or '0') or 0) > now then return false end
  return (tonumber(redis.call('HGET', rate_key(instance), 'paused_until') or '0') or 0) <= now
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
return { due, lost, send }
