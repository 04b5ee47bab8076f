-- Claims due logins of one instance: the only scheduler. One script decides on gate, rate, in-flight limit and lanes,
-- so that two claims together never exceed a limit (P3, P4, P6).
-- Reply {state, wait (ms; -1: nothing is due), now (ms), then for each login:
--       reference, claim number, revision, wish, event id of the wish, sealed loginId, failed attempts,
--       first failure (ms or ''), account id, 1 if attempts of it are stored}
--       state: claimed | idle | foreign (only other workers can open what is due) | busy (rate or in-flight limit) |
--              paused (Flinks throttles) | canary (one call is in flight, and its result decides about others) | closed

local BACKFILL_TURN = 10 -- every tenth call is for the backfill lane, so that it never starves
local HELD_BACK = 1000 -- ms without messages for logins that the caller's keys do not open

local function next_due(context)
  local first = nil
  for _, lane in ipairs({ 'live', 'backfill' }) do
    local top = redis.call('ZRANGE', due_key(context.instance, lane), 0, 0, 'WITHSCORES')
    if top[2] and (not first or tonumber(top[2]) < first) then first = tonumber(top[2]) end
  end
  return first
end

local function busy(context, bucket)
  local first = next_due(context)
  if not first then return { 'idle', -1, context.now } end
  local wait = bucket.tokens < 1 and math.ceil(bucket.tat + bucket.interval - bucket.burst - context.now) or 25
  return { 'busy', math.max(math.max(wait, 1), first - context.now), context.now }
end

-- Returns the attempts charged to a login, and the time of the first, moved forward by the time in which calls were
-- held since then. Failures in a row that fell within an outage are taken off first.
local function charged_failures(context, key, login)
  local first_failure, held_before = login.first_failure, login.held_before_failure
  if not (login.failures or first_failure or login.failures_while_down or held_before) then return 0, '' end
  local outage_from, outage_to = context.gate.outage_from, context.gate.outage_to or context.now
  local failures = number_or_zero(login.failures)
  local first, last, in_a_row = read_failures_in_a_row(login.failures_while_down, first_failure)
  if first and outage_from and last >= outage_from and last <= outage_to then
    failures = math.max(failures - (first >= outage_from and in_a_row or 1), 0)
    redis.call('HSET', key, FIELD.failures, failures)
    redis.call('HDEL', key, FIELD.failures_while_down)
  end
  if failures < 1 or not first_failure then
    redis.call('HDEL', key, FIELD.failures, FIELD.first_failure, FIELD.held_before_failure)
    return 0, ''
  end
  local held_since = math.max(held_ms(context.gate, context.now) - number_or_zero(held_before), 0)
  return failures, whole(math.min(context.now, tonumber(first_failure) + held_since))
end

-- Whether a login has no field that the settlement of a successful call must know.
local function is_healthy(login)
  return not (login.is_counted or login.row or login.failures or login.first_failure or login.failures_while_down
    or login.held_before_failure or login.leases_lost or login.refused_by or login.last_code or login.letter
    or login.reassert_after)
end

-- Put a login in flight and into the reply; returns 1, or 0 where it was deleted or damaged.
local function put_in_flight(context, ref, login, lease, rest, reply)
  local key = login_key(ref)
  -- A person deleted the login. If an event then recreated it in the other lane, this lane still has the old entry.
  if IS_STATE[login.state] and login.state ~= 'due' or not next(login) then return 0 end
  if not (login.revision and login.sealed and login.event_id) then
    give_notice('damaged|' .. key, 0)
    return 0
  end
  local last = login.claim and tonumber(login.claim) or 0
  local number = last < context.now and context.now_text or whole(last + 1)
  local is_well = is_healthy(login)
  local claim = number .. ':' .. login.revision .. ':' .. login.wish .. ':' .. (login.is_counted or '0') .. ':' .. rest
    .. (is_well and ':h:' or ':-:') .. context.owner
  redis.call('HSET', key, FIELD.state, 'flight', FIELD.claim, claim)
  if login.rests_until or login.lease_was_lost then redis.call('HDEL', key, FIELD.rests_until, FIELD.lease_was_lost) end
  put(context.leases, context.now + lease, ref)
  local failures, first_failure = 0, ''
  if not is_well then failures, first_failure = charged_failures(context, key, login) end
  -- Without a call that ended, no attempt is stored.
  local has_history = (login.last_code or login.confirmed) and redis.call('EXISTS', history_key(ref)) or 0
  local at = #reply
  reply[at + 1], reply[at + 2], reply[at + 3], reply[at + 4] = ref, number, login.revision, login.wish
  reply[at + 5], reply[at + 6], reply[at + 7] = login.event_id, login.sealed, failures
  reply[at + 8], reply[at + 9], reply[at + 10] = first_failure, login.account_id or '', has_history
  return 1
end

-- Claim up to `n` logins, from both lanes in turn. Returns their number, and the number from the backfill lane. The
-- first login leaves its lane at once: a full Redis refuses a script's first write unless it frees memory, and accepts
-- all writes after that.
local function claim_logins(context, n, lease, rest, is_canary, turn, reply)
  local first_page = is_canary and 20 or n
  local live, backfill = read_lane(context, 'live', first_page), read_lane(context, 'backfill', first_page)
  local choose = is_canary and next_without_failure or next_of
  local used, of_backfills, is_first = 0, 0, true
  while used < n do
    local lane = (turn + used + 1) % BACKFILL_TURN == 0 and backfill or live
    local ref, login = choose(context, lane)
    if not ref then
      lane = lane == live and backfill or live
      ref, login = choose(context, lane)
    end
    if not ref then break end
    if is_first then
      redis.call('ZREM', lane.key, ref)
      lane.rank, lane.gone, is_first = lane.rank - 1, 1, false
    else
      lane.chosen[#lane.chosen + 1] = ref
    end
    if lane == backfill then of_backfills = of_backfills + 1 end
    used = used + put_in_flight(context, ref, login, lease, rest, reply)
  end
  put_off_unopened(context)
  return used, of_backfills
end

-- Nothing was claimed. If only other workers can open the logins that are due, no pulse asks for a reconciler with the
-- caller's keys for a second.
local function idle(context)
  if context.is_foreign then
    redis.call('SET', hint_key(context.key_ids:match('^%x+')), '1', 'PX', HELD_BACK)
    return { 'foreign', -1, context.now }
  end
  local first = next_due(context)
  return { 'idle', first and math.max(first - context.now, 1) or -1, context.now }
end

-- `limits` as in settle_and_claim.lua.
local function claim_due(context, limits)
  local wanted, lease = limits.at_most, limits.lease
  local excluded_for = excluded_ms(context.instance, context.worker)
  if excluded_for > 0 then return { 'closed', excluded_for, context.now } end
  local admitted, ask_again = admission(context.gate, context.config, context.now)
  if admitted == 'closed' then return { 'closed', ask_again, context.now } end
  if admitted == 'waiting' then return { 'canary', math.min(ask_again, 50), context.now } end
  if admitted == 'canary' then wanted = math.min(wanted, 1) end
  local bucket = read_bucket(context)
  if bucket.paused > 0 then return { 'paused', bucket.paused, context.now } end
  local n = math.min(wanted, bucket.tokens, limits.in_flight - redis.call('ZCARD', context.leases))
  if n < 1 then return busy(context, bucket) end
  local reply = { 'claimed', 0, context.now }
  local used, of_backfills
  local is_canary = admitted == 'canary'
  gathering(function()
    used, of_backfills = claim_logins(context, n, lease, limits.rest, is_canary, bucket.turn, reply)
  end)
  if used == 0 then return idle(context) end
  redis.call('HSET', rate_key(context.instance), 'tat', string.format('%.6f', bucket.tat + used * bucket.interval),
    'turn', (bucket.turn + used) % BACKFILL_TURN, 'ceiling', context.ceiling_text,
    'lane_calls', whole(bucket.lane_calls + of_backfills)) -- backfill_lane.lua measures by it
  if is_canary then
    send_canary(context.instance, context.gate, context.config, context.fingerprint, reply[4], context.now + lease)
  end
  return reply
end
