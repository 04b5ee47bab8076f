-- Judges the caller's configuration by its calls: proven, refused, unreachable, or suspect after a storm of refusals.
-- `context` is that of settle_and_claim.lua; its gate and config are updated here together with Redis.

local UNREACHABLE_IN_A_ROW = 5
local UNREACHABLE_PROBE = 60000
local DOUBTED_DELAY, DOUBTS = 30000, 3
-- Refusals of single logins that a wrong customer id or instance would cause for every login.
local STORM_CODES = { 'INVALID_LOGIN', 'UNAUTHORIZED' }

local function has(item, flag) return item.flags ~= '' and item.flags:find(flag, 1, true) ~= nil end

local function set_standing(context, standing)
  if context.config.standing == standing then return false end
  redis.call('HSET', configs_key(context.instance), context.fingerprint, standing)
  context.config.standing = standing
  return true
end

-- Whether the configuration may make no calls until a person opens the gate. The results of its calls in flight do not
-- change that: no success and no other failure lets it call again, or ends a storm.
local function is_condemned(context)
  local standing = context.config.standing
  return standing == 'refused' or standing == 'suspect'
end

-- Shut the gate, unless a person, a halt or the same cause shut it before. Returns whether the gate was changed.
local function shut(context, cause, item)
  local gate = context.gate
  if is_shut_by(gate, 'operator') or is_shut_by(gate, 'halt') or is_shut_by(gate, cause) then return false end
  context.gate = turn_gate(context.instance, context.gate, 'closed', cause, context.now,
    { 'code', item.code, 'http_status', item.status, 'detail', item.message, 'fingerprint', context.fingerprint })
  return true
end

-- A confirmed call proves the caller's configuration, and opens a gate that another configuration shut.
local function prove_config(context)
  if context.gate.storm_limit then
    redis.call('HDEL', gate_key(context.instance), 'storm_limit')
    context.gate.storm_limit = nil
  end
  if context.has_run then redis.call('DEL', invalid_key(context.instance, context.fingerprint)) end
  context.has_run = false
  if is_condemned(context) then return end
  if set_standing(context, 'proven') then
    local doubt = context.fingerprint .. ':doubt'
    redis.call('HDEL', configs_key(context.instance), doubt, doubt .. 's')
  end
  if context.gate.is_shut and not is_shut_by(context.gate, 'operator') then -- a halt or a storm
    context.gate = turn_gate(context.instance, context.gate, 'open', 'configuration accepted', context.now, {})
  end
end

-- Flinks refuses our credentials or our address. A proven configuration is only doubted at first, as the refusal may be
-- of this login alone. The configuration counts as refused once a second login is refused with no success in between.
-- Returns whether only this login is refused: it is refused again, while others were confirmed.
local function note_refusal(context, ref, login, item)
  local configs, doubt = configs_key(context.instance), context.fingerprint .. ':doubt'
  if context.config.standing == 'proven' and login.refused_by == context.fingerprint then
    -- The code of a dead letter is Flinks' or one of the contract's: not an HTTP status, not a failure of our own.
    if item.code:match('^http_') or item.code == 'unsealable' then item.code = 'unexpected_response' end
    return true
  end
  if context.config.standing == 'proven' then
    set_standing(context, 'doubted')
    redis.call('HSET', configs, doubt, ref, context.fingerprint .. ':doubts', 0)
  end
  local is_same = context.config.standing == 'doubted' and redis.call('HGET', configs, doubt) == ref
  if is_same and increase(configs, context.fingerprint .. ':doubts', 1) < DOUBTS then
    redis.call('HSET', login_key(ref), FIELD.refused_by, context.fingerprint)
    item.delay = math.max(item.delay, DOUBTED_DELAY)
  elseif not is_condemned(context) then
    set_standing(context, 'refused')
    redis.call('HSET', login_key(ref), FIELD.refused_by, context.fingerprint)
    shut(context, 'halt', item)
  end
  return false
end

-- Five DNS or TLS failures in a row, over all logins, mean that the address is wrong.
local function watch_address(context, item)
  local lost = context.fingerprint .. ':lost'
  if not has(item, 'h') then
    if context.config.lost then redis.call('HDEL', configs_key(context.instance), lost) end
    context.config.lost = nil
    return
  end
  context.config.lost = increase(configs_key(context.instance), lost, 1)
  if context.config.lost < UNREACHABLE_IN_A_ROW or is_condemned(context) then return end
  set_standing(context, 'unreachable')
  context.config.canary_until = context.now + UNREACHABLE_PROBE
  local canary = context.fingerprint .. ':canary'
  redis.call('HSET', configs_key(context.instance), canary, whole(context.config.canary_until))
  shut(context, 'halt', item)
end

local function counts_for_storm(item)
  for _, code in ipairs(STORM_CODES) do
    if item.code == code then return true end
  end
  return false
end

-- Mark the open letters of a run as suspects. Returns the codes of the run.
local function suspect_letters(context, ids, last_code)
  local seen, codes = { [last_code] = true }, {}
  for _, id in ipairs(ids) do
    local status, code = unpack(redis.call('HMGET', letter_key(id), 'status', 'code'))
    if status == 'open' then
      redis.call('HSET', letter_key(id), 'suspect', 'storm-' .. whole(context.now))
      seen[code] = true
    end
  end
  for _, code in ipairs(STORM_CODES) do
    if seen[code] then codes[#codes + 1] = code end
  end
  return codes
end

-- Refusals of many logins in a row: more likely our customer id is wrong than all of those logins.
local function watch_for_storm(context, ref, letter, item)
  local key = invalid_key(context.instance, context.fingerprint)
  redis.call('HSETNX', configs_key(context.instance), context.fingerprint, '') -- set_gate.lua finds the run by it
  redis.call('HSET', key, ref, letter)
  redis.call('PEXPIRE', key, DAY)
  context.has_run = true
  local run = redis.call('HLEN', key)
  if run < (context.gate.storm_limit or context.storm_logins) then return end
  local codes = suspect_letters(context, redis.call('HVALS', key), item.code)
  redis.call('DEL', key)
  set_standing(context, 'suspect')
  local text = run .. ' logins in a row, and no success in between'
  if not shut(context, 'storm', { code = table.concat(codes, ' or '), status = '', message = text }) then return end
  for _, code in ipairs(codes) do
    for _, wish in ipairs({ 'on', 'off' }) do
      redis.call('ZREM', 'nightly:notices', group_notice(context.instance .. '|' .. code .. '|' .. wish))
    end
  end
end

local function end_canaries(context, ref, item)
  if context.config.canary == ref then
    local canary = context.fingerprint .. ':canary'
    redis.call('HDEL', configs_key(context.instance), canary, canary .. '_login')
    context.config.canary, context.config.canary_until = nil, 0
  end
  if context.gate.is_out and context.gate.canary == ref then
    local is_answered = item.outcome ~= 'halt' and not has(item, 'd')
    context.gate = end_probe(context.instance, context.gate, item.outcome, is_answered, context.now)
  end
end
