-- Settles calls that have ended. Only the holder of a claim may settle it (the fence of P4).
-- Reply for each call: applied | overtaken | waiting | fenced | unsent | dead_lettered |
--       halted (it waits behind the gate) | repeated (settled before: the reply was lost, and the caller sent it again)

-- What a call that succeeded says, if it says nothing else (`item` is such a table for every call).
local PLAIN_SUCCESS = {
  outcome = 'applied', code = 'applied', flags = '', attempt = '',
  delay = 0, rest = 0, retry_after = 0, status = '', message = '',
}

local settle_calls

do -- Private to this file: a chunk of Lua holds at most 200 local variables.

local function settle_applied(context, ref, login, item)
  local key = login_key(ref)
  prove_config(context)
  if login.claim_is_counted ~= '1' then
    count(context.instance, login.claimed_wish == '1' and 'applied_on' or 'applied_off')
  end
  if has(item, 'u') then count(context.instance, 'unconfirmed') end
  local confirmed = login.claimed_revision .. ':' .. login.claimed_wish .. ':' .. context.now_text
  if item.code ~= 'applied' then
    redis.call('HSET', key, FIELD.last_code, item.code)
  elseif login.last_code then
    redis.call('HDEL', key, FIELD.last_code)
  end
  if login.failures or login.first_failure or login.failures_while_down or login.refused_by then
    redis.call('HDEL', key, FIELD.failures, FIELD.first_failure, FIELD.failures_while_down, FIELD.held_before_failure,
      FIELD.refused_by)
  end
  if login.row and login.revision == login.claimed_revision then
    end_row_of(login.row, 'applied', item.code == 'applied' and '' or item.code, context.now)
    redis.call('HDEL', key, FIELD.row)
  end
  if login.revision ~= login.claimed_revision or login.reassert_after then
    redis.call('HSET', key, FIELD.confirmed, confirmed)
    login.claim_is_counted = '1'
    put_back(ref, context.instance, login, context.now, 0)
    return 'overtaken'
  end
  end_flight(key, login, 'done', FIELD.confirmed, confirmed)
  take(leases_key(context.instance), ref)
  return 'applied'
end

-- Whether a failure is the outage's, not the login's: Flinks, or the network to it, is known to be down.
local function is_of_outage(context, item)
  return has(item, 'd') and (context.gate.is_out or (has(item, 'h') and context.config.standing == 'unreachable'))
end

local function charge(context, ref, login, item)
  local key = login_key(ref)
  redis.call('HSET', key, FIELD.failures, (login.failures or 0) + 1,
    FIELD.first_failure, login.first_failure or whole(context.now))
  local known = number_or_zero(login.held_before_failure)
  local held = (login.first_failure and known or held_ms(context.gate, context.now)) - item.retry_after
  if held ~= known then redis.call('HSET', key, FIELD.held_before_failure, whole(held)) end
  if not has(item, 'd') then
    redis.call('HDEL', key, FIELD.failures_while_down)
    return
  end
  local first_failure = login.first_failure or context.now
  local first, _, in_a_row = read_failures_in_a_row(login.failures_while_down, first_failure)
  redis.call('HSET', key, FIELD.failures_while_down,
    failures_in_a_row_text(first or context.now, context.now, in_a_row + 1, first_failure))
end

local function rest_of(context, item) return item.rest > 0 and context.now + item.rest or 0 end

local function settle_waiting(context, ref, login, item)
  local due_at = context.now + item.delay
  redis.call('HSET', login_key(ref), FIELD.last_code, item.code)
  if item.outcome == 'throttled' then
    count(context.instance, 'throttled')
    slow_down(context.instance, context.ceiling, context.now, item.retry_after)
    if item.retry_after > 0 then
      local from = held_from(context.gate, context.now)
      count_held(context.instance, context.gate, from, context.now + item.retry_after, context.now)
    end
  elseif item.outcome == 'transient' then
    count(context.instance, 'retried')
    if login.revision == login.claimed_revision and not is_of_outage(context, item) then
      charge(context, ref, login, item)
    end
  end
  if has(item, 'a') then count(context.instance, 'ambiguous') end
  if login.revision ~= login.claimed_revision then due_at = item.outcome == 'throttled' and due_at or context.now end
  put_back(ref, context.instance, login, due_at, rest_of(context, item))
  return item.outcome == 'unsent' and 'unsent' or 'waiting'
end

local function settle_dead(context, ref, login, item)
  local is_of_storm = counts_for_storm(item)
  if is_of_outage(context, item) or (is_of_storm and context.config.standing == 'suspect') then
    settle_waiting(context, ref, login, item)
    return 'halted'
  end
  if has(item, 'a') then count(context.instance, 'ambiguous') end
  local letter = ''
  if login.revision ~= login.claimed_revision or login.reassert_after then
    put_back(ref, context.instance, login, context.now, rest_of(context, item))
  else
    letter = give_up(ref, context.instance, login, item, context.now, rest_of(context, item))
  end
  if is_of_storm then watch_for_storm(context, ref, letter, item) end
  return letter == '' and 'overtaken' or 'dead_lettered'
end

-- Settle a call whose claim the login no longer has: the call may have landed after a later one, or may land until its
-- rest is over. So the newest wish is asserted again after that rest; a dead login rests, too, before a newer wish or a
-- replay is called. Of a login that a person deleted, only the lease is left to delete.
local function fence(context, ref, login, item)
  count(context.instance, 'fenced')
  if not login.state then take(leases_key(context.instance), ref) end
  if item.outcome == 'unsent' or not login.state then return 'fenced' end
  local key, rests_until = login_key(ref), context.now + item.rest
  if login.state == 'flight' then
    redis.call('HSET', key, FIELD.reassert_after, whole(rest_after(login, rests_until)),
      FIELD.claim, not_healthy(login.claim))
    return 'fenced'
  end
  rests_until = math.max(rests_until, number_or_zero(login.rests_until))
  if login.state == 'done' then
    redis.call('HSET', key, FIELD.state, 'due', FIELD.is_counted, '1', FIELD.rests_until, whole(rests_until))
    put_due(ref, context.instance, login.lane, context.now, rests_until)
  elseif item.rest > 0 then
    redis.call('HSET', key, FIELD.rests_until, whole(rests_until))
    if login.state == 'due' then
      local due_at = place_of(due_key(context.instance, login.lane), ref) or context.now
      put_due(ref, context.instance, login.lane, due_at, rests_until)
    end
  end
  return 'fenced'
end

local function is_held_by_us(context, login, number)
  return login.state == 'flight' and login.claim_number == number and login.claim_owner == context.owner
end

-- A success is stored only after failures.
local function is_worth_remembering(ref, item)
  if item.attempt == '' then return false end
  return item.outcome ~= 'applied' or redis.call('EXISTS', history_key(ref)) == 1
end

-- Settle a plain success by the claim alone, if it is ours and of a healthy login, as nearly all are: one field is read
-- instead of all, and none has to be deleted. Returns whether it was settled; else nothing has changed.
local function settle_healthy(context, ref, number)
  local key = login_key(ref)
  local claim = redis.pcall('HGET', key, FIELD.claim)
  if type(claim) ~= 'string' then return false end
  local of_number, revision, wish, owner = claim:match('^(%d+):(%d+):([01]):0:%d+:h:(.*)$')
  if of_number ~= number or owner ~= context.owner then return false end
  end_canaries(context, ref, PLAIN_SUCCESS)
  watch_address(context, PLAIN_SUCCESS)
  prove_config(context)
  count(context.instance, 'calls')
  count(context.instance, wish == '1' and 'applied_on' or 'applied_off')
  redis.call('HSET', key, FIELD.state, 'done', FIELD.claim, number,
    FIELD.confirmed, revision .. ':' .. wish .. ':' .. context.now_text)
  take(context.leases, ref)
  return true
end

local function settle(context, ref, number, item)
  if item == PLAIN_SUCCESS and settle_healthy(context, ref, number) then return 'applied' end
  local login = read_flight(ref)
  if is_held_by_us(context, login, number) then end_canaries(context, ref, item)
  elseif login.state ~= 'flight' and login.claim_number == number and login.lease_was_lost ~= '1' then return 'repeated'
  else return fence(context, ref, login, item) end
  if is_worth_remembering(ref, item) then remember(ref, item.attempt, item.outcome == 'applied') end
  if item.outcome == 'unsent' then return settle_waiting(context, ref, login, item) end
  count(context.instance, 'calls')
  watch_address(context, item)
  if item.outcome == 'applied' then return settle_applied(context, ref, login, item) end
  if item.outcome == 'dead' then return settle_dead(context, ref, login, item) end
  if item.outcome ~= 'halt' then return settle_waiting(context, ref, login, item) end
  if note_refusal(context, ref, login, item) then return settle_dead(context, ref, login, item) end
  settle_waiting(context, ref, login, item)
  return 'halted'
end

-- Settle `calls` (read_calls in settle_and_claim.lua); returns a result for each. First count what they say about
-- Flinks' health, so that the calls that show an outage are not charged for it.
function settle_calls(context, calls, rules)
  context.gate = watch_health(context.instance, context.gate, calls, context.now, {
    worker = context.worker, ratio = rules.outage_ratio, calls = rules.outage_min_calls, window = rules.outage_window,
    in_a_row = rules.outage_in_a_row,
    is_held = function(login, number) return is_held_by_us(context, login, number) end,
  })
  return gathering(function()
    local results = {}
    for i, call in ipairs(calls) do results[i] = settle(context, call.ref, call.number, call.item) end
    return results
  end)
end

end
