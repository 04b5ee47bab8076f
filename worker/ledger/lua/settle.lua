-- Write down what became of calls, each only by the holder of its claim (the fence of P4).
-- ARGV  now (ms or ''), instance, fingerprint of the caller's configuration, ceiling (calls/s), owner, then for each:
--       reference, claim number, outcome, delay (ms), rest (ms), code, http status, message,
--       attempt (JSON for the history, or ''), Retry-After (ms), flags
--       outcome: applied | transient | throttled | dead | halt | unsent
--       flags: any of u (unconfirmed), h (host or TLS unreachable), a (ambiguous)
-- Reply for each call: applied | overtaken | waiting | fenced | unsent | parked | parked_new_group | halted |
--       halted_now | repeated (settled before: the reply was lost, and the caller asked again)
--       The last two and the group are the moments to tell a person about: each is answered once.

local now = clock(ARGV[1])
local instance, fingerprint, ceiling, owner = ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local UNREACHABLE_IN_A_ROW = 5
local UNREACHABLE_PROBE = 60000
local HISTORY = 200

-- `standing` refused: only another configuration, or a person, may try again. unreachable: so may time.
local function close_gate(standing, item)
  local was = redis.call('HGET', gate_key(instance), 'state')
  redis.call('HSET', configs_key(instance), fingerprint, standing)
  if standing == 'unreachable' then
    redis.call('HSET', configs_key(instance), fingerprint .. ':canary', whole(now + UNREACHABLE_PROBE))
  end
  if was == 'closed' then return 'halted' end
  redis.call('HSET', gate_key(instance), 'state', 'closed', 'cause', 'halt', 'code', item.code,
    'http_status', item.status, 'detail', item.message, 'changed_at', whole(now), 'fingerprint', fingerprint)
  return 'halted_now'
end

-- A confirmed call proves the caller's configuration, and opens a gate that another one had closed.
local function prove_config()
  if redis.call('HGET', configs_key(instance), fingerprint) == 'refused' then return end
  redis.call('HSET', configs_key(instance), fingerprint, 'proven')
  local gate = redis.call('HMGET', gate_key(instance), 'state', 'cause')
  if gate[1] == 'closed' and gate[2] == 'halt' then
    redis.call('DEL', gate_key(instance))
    redis.call('HSET', gate_key(instance), 'state', 'open', 'cause', 'configuration accepted', 'changed_at', whole(now))
  end
end

local function slow_down(retry_after)
  local cut_at = tonumber(redis.call('HGET', rate_key(instance), 'cut_at') or '0') or 0
  if math.abs(now - cut_at) >= 1000 then -- once for a whole volley of refused calls
    local speed = math.max(1, current_speed(instance, ceiling, now) / 2)
    redis.call('HSET', rate_key(instance), 'rate', string.format('%.3f', speed), 'changed_at', whole(now),
      'cut_at', whole(now))
  end
  if retry_after > 0 then
    local paused_until = tonumber(redis.call('HGET', rate_key(instance), 'paused_until') or '0') or 0
    redis.call('HSET', rate_key(instance), 'paused_until', whole(later(paused_until, now + retry_after)))
  end
end

local function remember(ref, item)
  if item.attempt == '' then return end
  local push = item.outcome == 'applied' and 'RPUSHX' or 'RPUSH'
  if redis.call(push, attempts_key(ref), item.attempt) == 0 then return end
  redis.call('LTRIM', attempts_key(ref), -HISTORY, -1)
  redis.call('PEXPIRE', attempts_key(ref), 30 * DAY)
end

local function settle_applied(ref, login, item)
  local key = login_key(ref)
  prove_config()
  if login.y ~= '1' then count(instance, login.cw == '1' and 'applied_on' or 'applied_off') end
  if item.flags:find('u', 1, true) then count(instance, 'unconfirmed') end
  redis.call('HSET', key, 'pr', login.c, 'pw', login.cw, 'pt', whole(now), 'z', item.code)
  if login.r ~= login.c or login.m == '1' then
    login.y = '1'
    put_back(ref, instance, login, now, login.h)
    return 'overtaken'
  end
  redis.call('ZREM', leases_key(instance), ref)
  redis.call('HSET', key, 's', 'done')
  redis.call('HDEL', key, 'c', 'cw', 'o', 'y', 'n', 'f', 'm')
  return 'applied'
end

local function settle_dead(ref, login, item)
  local key = login_key(ref)
  if login.r ~= login.c or login.m == '1' then
    put_back(ref, instance, login, now, login.h)
    return 'overtaken'
  end
  if login.y ~= '1' then
    count(instance, 'dead_lettered')
    count(instance, 'dead:' .. item.code)
  end
  local id = 'dl-' .. whole(redis.call('INCR', 'nightly:letters:seq'))
  redis.call('ZREM', leases_key(instance), ref)
  redis.call('HSET', key, 's', 'dead', 'x', id, 'z', item.code)
  redis.call('HDEL', key, 'c', 'cw', 'o', 'y')
  redis.call('PERSIST', attempts_key(ref))
  local group = instance .. '|' .. item.code .. '|' .. (login.w == '1' and 'on' or 'off')
  local is_new = open_letter(id, group, now, {
    'kind', 'login', 'login', ref, 'instance', instance, 'revision', login.r, 'wish', login.w, 'lane', login.l,
    'event_id', login.e, 'account_id', login.a or '', 'occurred_us', login.t, 'code', item.code,
    'http_status', item.status, 'message', item.message, 'failures', login.n + 1,
    'first_at', login.f or whole(now), 'last_at', whole(now),
  })
  return is_new == 1 and 'parked_new_group' or 'parked'
end

local function settle_waiting(ref, login, item)
  local key = login_key(ref)
  local due_at, rests_until = now + item.delay, later(login.h, item.rest > 0 and now + item.rest or 0)
  redis.call('HSET', key, 'z', item.code)
  if item.outcome == 'throttled' then
    count(instance, 'throttled')
    slow_down(item.retry_after)
  elseif item.outcome == 'transient' then
    count(instance, 'retried')
    if login.r == login.c then redis.call('HSET', key, 'n', login.n + 1, 'f', login.f or whole(now)) end
  end
  if item.flags:find('a', 1, true) then count(instance, 'ambiguous') end
  if login.r ~= login.c then due_at = item.outcome == 'throttled' and due_at or now end
  put_back(ref, instance, login, due_at, rests_until)
  return item.outcome == 'unsent' and 'unsent' or 'waiting'
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

-- A few "no such host" or TLS failures in a row, over all logins, mean that the address is wrong.
local function watch_address(item)
  if not item.flags:find('h', 1, true) then
    redis.call('HDEL', gate_key(instance), 'unreachable')
    return nil
  end
  if redis.call('HINCRBY', gate_key(instance), 'unreachable', 1) < UNREACHABLE_IN_A_ROW then return nil end
  return close_gate('unreachable', item)
end

local function end_canary(ref)
  if redis.call('HGET', configs_key(instance), fingerprint .. ':canary_login') == ref then
    redis.call('HDEL', configs_key(instance), fingerprint .. ':canary', fingerprint .. ':canary_login')
  end
end

local function settle(ref, number, item)
  local login = read_flight(ref)
  if login.s == 'flight' and login.k == number and login.o == owner then end_canary(ref)
  elseif login.s ~= 'flight' and login.k == number and login.g ~= '1' then return 'repeated'
  else return fence(ref, login, item) end
  remember(ref, item)
  if item.outcome == 'unsent' then return settle_waiting(ref, login, item) end
  count(instance, 'calls')
  local halted = watch_address(item)
  if item.outcome == 'applied' then return settle_applied(ref, login, item) end
  if item.outcome == 'dead' then return settle_dead(ref, login, item) end
  if item.outcome == 'halt' then halted = close_gate('refused', item) end
  local waiting = settle_waiting(ref, login, item)
  return halted or waiting
end

local replies = {}
for i = 6, #ARGV, 11 do
  local item = {
    outcome = ARGV[i + 2], delay = tonumber(ARGV[i + 3]), rest = tonumber(ARGV[i + 4]), code = ARGV[i + 5],
    status = ARGV[i + 6], message = ARGV[i + 7], attempt = ARGV[i + 8], retry_after = tonumber(ARGV[i + 9]),
    flags = ARGV[i + 10],
  }
  replies[#replies + 1] = settle(ARGV[i], ARGV[i + 1], item)
end
return replies
