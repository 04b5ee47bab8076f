-- Write down what became of calls, each only by the holder of its claim (the fence of P4).
-- ARGV  now (ms or ''), instance, fingerprint of the caller's configuration, ceiling (calls/s), owner,
--       then what shuts the gate: share of failing calls, of how many at least, within (ms); INVALID_LOGINs in a row;
--       then for each call: reference, claim number, outcome, delay (ms), rest (ms), code, http status, message,
--       attempt (JSON for the history, or ''), Retry-After (ms), flags
--       outcome: applied | transient | throttled | dead | halt | unsent
--       flags: any of u (unconfirmed), h (host or TLS unreachable), d (Flinks is down), a (ambiguous)
-- Reply for each call: applied | overtaken | waiting | fenced | unsent | parked | halted (it waits behind the gate) |
--       repeated (settled before: the reply was lost, and the caller asked again)

local now = clock(ARGV[1])
local instance, fingerprint, ceiling, owner = ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local outage_ratio, outage_calls = tonumber(ARGV[6]), tonumber(ARGV[7])
local outage_window, storm_logins = tonumber(ARGV[8]), tonumber(ARGV[9])
local UNREACHABLE_IN_A_ROW = 5
local UNREACHABLE_PROBE = 60000
local DOUBTED_DELAY = 30000
local BUCKETS = 10

local gate, config = read_gate(instance), read_config(instance, fingerprint)
local well, failing = 0, 0 -- calls of this script, as signs of Flinks' health

local function has(item, flag) return item.flags:find(flag, 1, true) ~= nil end

local function stand(standing)
  if config.standing == standing then return end
  redis.call('HSET', configs_key(instance), fingerprint, standing)
  config.standing = standing
end

-- A person's own closing stands above all others; a halt or a storm, which need one, above an outage.
local function shut(cause, item)
  if is_shut_by(gate, 'operator') or is_shut_by(gate, 'halt') or is_shut_by(gate, cause) then return end
  gate = turn_gate(instance, gate, 'closed', cause, now,
    { 'code', item.code, 'http_status', item.status, 'detail', item.message, 'fingerprint', fingerprint })
end

-- A confirmed call proves the caller's configuration, and opens a gate that another one had shut.
local function prove_config()
  if gate.storm_limit then
    redis.call('HDEL', gate_key(instance), 'storm_limit')
    gate.storm_limit = nil
  end
  redis.call('DEL', invalid_key(instance))
  if config.standing == 'refused' or config.standing == 'suspect' then return end
  stand('proven')
  if is_shut_by(gate, 'halt') or is_shut_by(gate, 'storm') then
    gate = turn_gate(instance, gate, 'open', 'configuration accepted', now, {})
  end
end

-- Flinks refuses our credentials or our address. A proven configuration is only doubted at first: it may be this one
-- login that Flinks will not hear of. Returns whether it is: refused again, while others were confirmed.
local function is_alone_refused(ref, login, item)
  if config.standing ~= 'proven' or item.code == 'unsealable' then
    stand('refused')
    shut('halt', item)
    return false
  end
  if login.u == fingerprint then
    if item.code:sub(1, 5) == 'http_' then item.code = 'unexpected_response' end -- codes of letters are Flinks' or ours
    return true
  end
  redis.call('HSET', login_key(ref), 'u', fingerprint)
  item.delay = later(item.delay, DOUBTED_DELAY)
  stand('doubted')
  return false
end

-- A few "no such host" or TLS failures in a row, over all logins, mean that the address is wrong.
local function watch_address(item)
  if not has(item, 'h') then
    redis.call('HDEL', gate_key(instance), 'unreachable')
  elseif redis.call('HINCRBY', gate_key(instance), 'unreachable', 1) >= UNREACHABLE_IN_A_ROW then
    stand('unreachable')
    redis.call('HSET', configs_key(instance), fingerprint .. ':canary', whole(now + UNREACHABLE_PROBE))
    shut('halt', item)
  end
end

-- INVALID_LOGIN for many logins in a row: our customer id is wrong, more likely than all of them.
local function watch_for_storm(ref, letter)
  redis.call('HSET', invalid_key(instance), ref, letter)
  redis.call('PEXPIRE', invalid_key(instance), DAY)
  local run = redis.call('HLEN', invalid_key(instance))
  if run < (gate.storm_limit or storm_logins) then return end
  for _, id in ipairs(redis.call('HVALS', invalid_key(instance))) do
    if redis.call('HGET', letter_key(id), 'status') == 'open' then
      redis.call('HSET', letter_key(id), 'suspect', 'storm-' .. whole(now))
    end
  end
  redis.call('DEL', invalid_key(instance))
  for _, wish in ipairs({ 'on', 'off' }) do
    redis.call('ZREM', 'nightly:notices', group_notice(instance .. '|INVALID_LOGIN|' .. wish))
  end
  stand('suspect')
  shut('storm', { code = 'INVALID_LOGIN', status = '', message = run .. ' logins in a row, and no success in between' })
end

-- The share of failing calls over a sliding window, in ten buckets.
local function watch_for_outage()
  if well + failing == 0 or gate.is_closed then return end
  local width = math.max(1, outage_window / BUCKETS)
  local slot = math.floor(now / width)
  local kept, all, bad = redis.call('HGETALL', health_key(instance)), 0, 0
  local mine_well, mine_failing = well, failing
  for i = 1, #kept, 2 do
    local at, good, wrong = kept[i + 1]:match('^(%d+):(%d+):(%d+)$')
    at = tonumber(at)
    if at == slot then
      mine_well, mine_failing = mine_well + tonumber(good), mine_failing + tonumber(wrong)
    elseif at < slot and at > slot - BUCKETS then
      all, bad = all + good + wrong, bad + wrong
    end
  end
  redis.call('HSET', health_key(instance), slot % BUCKETS, string.format('%.0f:%d:%d', slot, mine_well, mine_failing))
  all, bad = all + mine_well + mine_failing, bad + mine_failing
  if failing == 0 or all < outage_calls or bad < outage_ratio * all then return end
  shut('outage', { code = 'outage', status = '', message = bad .. ' of the last ' .. all .. ' calls failed' })
  redis.call('HSET', gate_key(instance), 'outage_from', whole(now - outage_window),
    'probe_at', whole(now + PROBE_FIRST), 'probe_wait', PROBE_FIRST)
  redis.call('HDEL', gate_key(instance), 'outage_to')
end

-- The one call that tries whether the outage is over.
local function end_probe(item)
  redis.call('HDEL', gate_key(instance), 'canary', 'canary_until')
  gate.canary, gate.canary_until = nil, 0
  if item.outcome == 'unsent' then return end
  if item.outcome ~= 'halt' and not has(item, 'd') then
    gate = turn_gate(instance, gate, 'open', 'Flinks answers again', now, {})
    return
  end
  local wait = math.min(2 * gate.probe_wait, PROBE_LONGEST)
  redis.call('HSET', gate_key(instance), 'probe_at', whole(now + wait), 'probe_wait', wait)
  redis.call('HINCRBY', gate_key(instance), 'probes', 1)
end

local function end_canaries(ref, item)
  if config.canary == ref then
    redis.call('HDEL', configs_key(instance), fingerprint .. ':canary', fingerprint .. ':canary_login')
    config.canary = nil
  end
  if gate.canary == ref and is_shut_by(gate, 'outage') then end_probe(item) end
end

local function settle_applied(ref, login, item)
  local key = login_key(ref)
  prove_config()
  if login.y ~= '1' then count(instance, login.cw == '1' and 'applied_on' or 'applied_off') end
  if has(item, 'u') then count(instance, 'unconfirmed') end
  redis.call('HSET', key, 'pr', login.c, 'pw', login.cw, 'pt', whole(now), 'z', item.code)
  if login.r ~= login.c or login.m == '1' then
    login.y = '1'
    put_back(ref, instance, login, now, login.h)
    return 'overtaken'
  end
  redis.call('ZREM', leases_key(instance), ref)
  redis.call('HSET', key, 's', 'done')
  redis.call('HDEL', key, 'c', 'cw', 'o', 'y', 'n', 'f', 'd', 'j', 'm', 'b', 'u')
  return 'applied'
end

local function charge(ref, login, item)
  local key = login_key(ref)
  redis.call('HSET', key, 'n', login.n + 1, 'f', login.f or whole(now))
  local held = login.f and 0 or held_ms(gate, now)
  if held > 0 then redis.call('HSET', key, 'j', whole(held)) end
  if has(item, 'd') then redis.call('HSET', key, 'd', whole(now)) else redis.call('HDEL', key, 'd') end
end

local function settle_waiting(ref, login, item)
  local due_at, rests_until = now + item.delay, later(login.h, item.rest > 0 and now + item.rest or 0)
  redis.call('HSET', login_key(ref), 'z', item.code)
  if item.outcome == 'throttled' then
    count(instance, 'throttled')
    slow_down(instance, ceiling, now, item.retry_after)
  elseif item.outcome == 'transient' then
    count(instance, 'retried')
    local is_its_own = login.r == login.c and not (has(item, 'd') and is_shut_by(gate, 'outage'))
    if is_its_own then charge(ref, login, item) end
  end
  if has(item, 'a') then count(instance, 'ambiguous') end
  if login.r ~= login.c then due_at = item.outcome == 'throttled' and due_at or now end
  put_back(ref, instance, login, due_at, rests_until)
  return item.outcome == 'unsent' and 'unsent' or 'waiting'
end

local function settle_dead(ref, login, item)
  local is_invalid = item.code == 'INVALID_LOGIN'
  local is_held = (is_invalid and config.standing == 'suspect') or (has(item, 'd') and is_shut_by(gate, 'outage'))
  if is_held then -- before the gate shut it was the login's fault; now it is not known to be
    settle_waiting(ref, login, item)
    return 'halted'
  end
  local letter = ''
  if login.r ~= login.c or login.m == '1' then
    put_back(ref, instance, login, now, login.h)
  else
    letter = give_up(ref, instance, login, item, now)
  end
  if is_invalid then watch_for_storm(ref, letter) end
  return letter == '' and 'overtaken' or 'parked'
end

-- Somebody else holds the login by now, but this call may have landed after theirs: assert once more.
local function fence(ref, login, item)
  count(instance, 'fenced')
  if item.outcome == 'unsent' or not login.s then return 'fenced' end
  if login.s == 'flight' then
    redis.call('HSET', login_key(ref), 'm', '1')
  elseif login.s == 'done' then
    redis.call('HSET', login_key(ref), 'h', whole(now + item.rest))
    make_due(ref, instance, login.l, now, now + item.rest)
  end
  return 'fenced'
end

local function settle(ref, number, item)
  local login = read_flight(ref)
  if login.s == 'flight' and login.k == number and login.o == owner then end_canaries(ref, item)
  elseif login.s ~= 'flight' and login.k == number and login.g ~= '1' then return 'repeated'
  else return fence(ref, login, item) end
  if item.attempt ~= '' then remember(ref, item.attempt, item.outcome == 'applied' and 'RPUSHX' or 'RPUSH') end
  if item.outcome == 'unsent' then return settle_waiting(ref, login, item) end
  count(instance, 'calls')
  if has(item, 'd') then failing = failing + 1 elseif item.outcome ~= 'halt' then well = well + 1 end
  watch_address(item)
  if item.outcome == 'applied' then return settle_applied(ref, login, item) end
  if item.outcome == 'halt' and is_alone_refused(ref, login, item) then return settle_dead(ref, login, item) end
  if item.outcome == 'dead' then return settle_dead(ref, login, item) end
  local waiting = settle_waiting(ref, login, item)
  return item.outcome == 'halt' and 'halted' or waiting
end

local replies = {}
for i = 10, #ARGV, 11 do
  local item = {
    outcome = ARGV[i + 2], delay = tonumber(ARGV[i + 3]), rest = tonumber(ARGV[i + 4]), code = ARGV[i + 5],
    status = ARGV[i + 6], message = ARGV[i + 7], attempt = ARGV[i + 8], retry_after = tonumber(ARGV[i + 9]),
    flags = ARGV[i + 10],
  }
  replies[#replies + 1] = settle(ARGV[i], ARGV[i + 1], item)
end
watch_for_outage()
return replies
