-- How what became of calls is written down, each only by the holder of its claim (the fence of P4).
-- ARGV  from 7 on what holds calls: share of failing ones, of how many at least, within (ms), how many in a row;
--       logins in a row that are a storm; then from `first` on for each call: reference, claim number, outcome, and unless that
--       is '': code, flags, attempt (JSON, or ''), the rest
--       outcome: applied | transient | throttled | dead | halt | unsent | '' (applied, and nothing more to say)
--       flags: any of u (unconfirmed), h (host or TLS unreachable), d (Flinks is down), a (ambiguous)
--       the rest: '', or "<delay, ms> <rest, ms> <Retry-After, ms> <http status, or nothing> <message>"
-- Reply for each call: applied | overtaken | waiting | fenced | unsent | parked | halted (it waits behind the gate) |
--       repeated (settled before: the reply was lost, and the caller asked again)

local settle_calls

do -- What follows is private to this file: one chunk of Lua holds no more than 200 local variables.

local function settle_applied(ref, login, item)
  local key = login_key(ref)
  prove_config()
  if login.y ~= '1' then count(instance, login.cw == '1' and 'applied_on' or 'applied_off') end
  if has(item, 'u') then count(instance, 'unconfirmed') end
  redis.call('HSET', key, 's', 'done', 'C', login.c .. ':' .. login.cw .. ':' .. now_text)
  if item.code ~= 'applied' then
    redis.call('HSET', key, 'z', item.code)
  elseif login.z then
    redis.call('HDEL', key, 'z')
  end
  if login.n or login.f or login.d or login.u then redis.call('HDEL', key, 'n', 'f', 'd', 'j', 'u') end
  if login.p and login.r == login.c then
    end_row_of(login.p, 'applied', item.code == 'applied' and '' or item.code, now)
    redis.call('HDEL', key, 'p')
  end
  if login.r ~= login.c or login.m then
    login.y = '1'
    put_back(ref, instance, login, now, 0)
    return 'overtaken'
  end
  forget_flight(key, login)
  take(leases_key(instance), ref)
  return 'applied'
end

-- While calls are held because Flinks, or the way to it, is down, a failure to reach it is not the login's.
local function is_not_its_own(item)
  return has(item, 'd') and (gate.is_out or (has(item, 'h') and config.standing == 'unreachable'))
end

local function charge(ref, login, item)
  local key = login_key(ref)
  redis.call('HSET', key, 'n', (login.n or 0) + 1, 'f', login.f or whole(now))
  local known = tonumber(login.j or '0')
  local held = (login.f and known or held_ms(gate, now)) - item.retry_after
  if held ~= known then redis.call('HSET', key, 'j', whole(held)) end
  if not has(item, 'd') then
    redis.call('HDEL', key, 'd')
    return
  end
  local f = login.f or now
  local first, _, in_a_row = streak(login.d, f)
  redis.call('HSET', key, 'd', streak_text(first or now, now, in_a_row + 1, f))
end

local function rest_of(item) return item.rest > 0 and now + item.rest or 0 end

local function settle_waiting(ref, login, item)
  local due_at = now + item.delay
  redis.call('HSET', login_key(ref), 'z', item.code)
  if item.outcome == 'throttled' then
    count(instance, 'throttled')
    slow_down(instance, ceiling, now, item.retry_after)
    if item.retry_after > 0 then
      count_held(instance, gate, held_from(gate, now), now + item.retry_after, now)
    end
  elseif item.outcome == 'transient' then
    count(instance, 'retried')
    if login.r == login.c and not is_not_its_own(item) then charge(ref, login, item) end
  end
  if has(item, 'a') then count(instance, 'ambiguous') end
  if login.r ~= login.c then due_at = item.outcome == 'throttled' and due_at or now end
  put_back(ref, instance, login, due_at, rest_of(item))
  return item.outcome == 'unsent' and 'unsent' or 'waiting'
end

local function settle_dead(ref, login, item)
  local is_of_storm = counts_for_storm(item)
  if is_not_its_own(item) or (is_of_storm and config.standing == 'suspect') then
    settle_waiting(ref, login, item)
    return 'halted'
  end
  if has(item, 'a') then count(instance, 'ambiguous') end
  local letter = ''
  if login.r ~= login.c or login.m then
    put_back(ref, instance, login, now, rest_of(item))
  else
    letter = give_up(ref, instance, login, item, now, rest_of(item))
  end
  if is_of_storm then watch_for_storm(ref, letter, item) end
  return letter == '' and 'overtaken' or 'parked'
end

-- A call whose claim is no longer the login's: it may have landed after what was called since, or land until its rest
-- is over. So the newest wish is asserted once more, and no earlier than that. A dead login waits as long when a newer
-- wish or a replay makes it due. Of a login that somebody deleted only the lease is left.
local function fence(ref, login, item)
  count(instance, 'fenced')
  if not login.s then take(leases_key(instance), ref) end
  if item.outcome == 'unsent' or not login.s then return 'fenced' end
  local key, rests_until = login_key(ref), now + item.rest
  if login.s == 'flight' then
    redis.call('HSET', key, 'm', whole(rest_after(login, rests_until)))
    return 'fenced'
  end
  rests_until = later(rests_until, tonumber(login.h or '0'))
  if login.s == 'done' then
    redis.call('HSET', key, 's', 'due', 'h', whole(rests_until))
    put_due(ref, instance, login.l, now, rests_until)
  elseif item.rest > 0 then
    redis.call('HSET', key, 'h', whole(rests_until))
    if login.s == 'due' then
      put_due(ref, instance, login.l, place_of(due_key(instance, login.l), ref) or now, rests_until)
    end
  end
  return 'fenced'
end

local function is_held_by_us(login, number) return login.s == 'flight' and login.k == number and login.o == owner end

-- A success is, only where failures went before.
local function is_worth_remembering(ref, item)
  if item.attempt == '' then return false end
  return item.outcome ~= 'applied' or redis.call('EXISTS', attempts_key(ref)) == 1
end

local function settle(ref, number, item)
  local login = read_flight(ref)
  if is_held_by_us(login, number) then end_canaries(ref, item)
  elseif login.s ~= 'flight' and login.k == number and login.g ~= '1' then return 'repeated'
  else return fence(ref, login, item) end
  if is_worth_remembering(ref, item) then remember_attempt(ref, item.attempt) end
  if item.outcome == 'unsent' then return settle_waiting(ref, login, item) end
  count(instance, 'calls')
  watch_address(item)
  if item.outcome == 'applied' then return settle_applied(ref, login, item) end
  if item.outcome == 'dead' then return settle_dead(ref, login, item) end
  if item.outcome ~= 'halt' then return settle_waiting(ref, login, item) end
  if is_alone_refused(ref, login, item) then return settle_dead(ref, login, item) end
  settle_waiting(ref, login, item)
  return 'halted'
end

local APPLIED = { outcome = 'applied', code = 'applied', flags = '', attempt = '', rest = 0 }

-- Returns the call that is described from `at` on, and where the next one is.
local function read_call(at)
  if ARGV[at + 2] == '' then return APPLIED, at + 3 end
  local item = {
    ref = ARGV[at], number = ARGV[at + 1], outcome = ARGV[at + 2], code = ARGV[at + 3], flags = ARGV[at + 4],
    attempt = ARGV[at + 5], delay = 0, rest = 0, retry_after = 0, status = '', message = '',
  }
  if ARGV[at + 6] == '' then return item, at + 7 end
  local delay, rest, retry_after, status, message = ARGV[at + 6]:match('^(%d+) (%d+) (%d+) (%d*) (.*)$')
  item.delay, item.rest, item.retry_after = tonumber(delay), tonumber(rest), tonumber(retry_after)
  item.status, item.message = status, message
  return item, at + 7
end

function settle_calls(at)
  local items, starts, replies = {}, {}, {}
  while at <= #ARGV do
    starts[#starts + 1] = at
    items[#items + 1], at = read_call(at)
  end
  gate = watch_health(instance, gate, items, now, {
    worker = worker, ratio = tonumber(ARGV[7]), calls = tonumber(ARGV[8]), window = tonumber(ARGV[9]),
    in_a_row = tonumber(ARGV[10]), is_held = is_held_by_us,
  })
  return gathering(function()
    for i, start in ipairs(starts) do replies[i] = settle(ARGV[start], ARGV[start + 1], items[i]) end
    return replies
  end)
end

end
