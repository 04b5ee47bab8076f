-- What a call tells of its caller's configuration: that it is right, refused, cannot be reached, or knows no login.
-- It stands behind the gate and its turns, and in front of settle.lua, whose arguments it reads.

local storm_logins = tonumber(ARGV[11])
local UNREACHABLE_IN_A_ROW = 5
local UNREACHABLE_PROBE = 60000
local DOUBTED_DELAY, DOUBTS = 30000, 3
-- Refusals of one login that a wrong customer id or instance would bring for every login.
local STORM_CODES = { 'INVALID_LOGIN', 'UNAUTHORIZED' }

local has_run = redis.call('EXISTS', invalid_key(instance, fingerprint)) == 1

local function has(item, flag) return item.flags:find(flag, 1, true) ~= nil end

local function stand(standing)
  if config.standing == standing then return false end
  redis.call('HSET', configs_key(instance), fingerprint, standing)
  config.standing = standing
  return true
end

-- Whether it may call no more until a person opens the gate. What comes of its calls that are still out changes nothing
-- of that: neither a success nor another trouble may have it call again, or have a storm's answers believed.
local function is_condemned() return config.standing == 'refused' or config.standing == 'suspect' end

-- A person's own closing stands above all others, and the first halt above what follows from it. Returns whether
-- the gate was turned.
local function shut(cause, item)
  if is_shut_by(gate, 'operator') or is_shut_by(gate, 'halt') or is_shut_by(gate, cause) then return false end
  gate = turn_gate(instance, gate, 'closed', cause, now,
    { 'code', item.code, 'http_status', item.status, 'detail', item.message, 'fingerprint', fingerprint })
  return true
end

-- A confirmed call proves the caller's configuration, and opens a gate that another one had shut.
local function prove_config()
  if gate.storm_limit then
    redis.call('HDEL', gate_key(instance), 'storm_limit')
    gate.storm_limit = nil
  end
  if has_run then redis.call('DEL', invalid_key(instance, fingerprint)) end
  has_run = false
  if is_condemned() then return end
  if stand('proven') then redis.call('HDEL', configs_key(instance), fingerprint .. ':doubt', fingerprint .. ':doubts') end
  if is_shut_by(gate, 'halt') or is_shut_by(gate, 'storm') then
    gate = turn_gate(instance, gate, 'open', 'configuration accepted', now, {})
  end
end

-- Flinks refuses our credentials or our address. A proven configuration is only doubted at first: it may be this one
-- login that Flinks will not hear of. It is refused when another login is, too, with none confirmed in between.
-- Returns whether it is the login: refused once more, while others were confirmed.
local function is_alone_refused(ref, login, item)
  local configs, doubt = configs_key(instance), fingerprint .. ':doubt'
  if config.standing == 'proven' and login.u == fingerprint then
    -- Codes of letters are Flinks' or ours; a bare status and our own trouble are neither.
    if item.code:match('^http_') or item.code == 'unsealable' then item.code = 'unexpected_response' end
    return true
  end
  if config.standing == 'proven' then
    stand('doubted')
    redis.call('HSET', configs, doubt, ref, fingerprint .. ':doubts', 0)
  end
  local is_same = config.standing == 'doubted' and redis.call('HGET', configs, doubt) == ref
  if is_same and redis.call('HINCRBY', configs, fingerprint .. ':doubts', 1) < DOUBTS then
    redis.call('HSET', login_key(ref), 'u', fingerprint)
    item.delay = later(item.delay, DOUBTED_DELAY)
  elseif not is_condemned() then
    stand('refused')
    redis.call('HSET', login_key(ref), 'u', fingerprint)
    shut('halt', item)
  end
  return false
end

-- A few "no such host" or TLS failures in a row, over all logins, mean that the address is wrong.
local function watch_address(item)
  local lost = fingerprint .. ':lost'
  if not has(item, 'h') then
    if config.lost then redis.call('HDEL', configs_key(instance), lost) end
    config.lost = nil
    return
  end
  config.lost = redis.call('HINCRBY', configs_key(instance), lost, 1)
  if config.lost < UNREACHABLE_IN_A_ROW or is_condemned() then return end
  stand('unreachable')
  config.canary_until = now + UNREACHABLE_PROBE
  redis.call('HSET', configs_key(instance), fingerprint .. ':canary', whole(config.canary_until))
  shut('halt', item)
end

local function counts_for_storm(item)
  for _, code in ipairs(STORM_CODES) do
    if item.code == code then return true end
  end
  return false
end

-- Marks the open letters of a run as suspects. Returns the codes of the run.
local function suspect_letters(ids, last_code)
  local seen, codes = { [last_code] = true }, {}
  for _, id in ipairs(ids) do
    local status, code = unpack(redis.call('HMGET', letter_key(id), 'status', 'code'))
    if status == 'open' then
      redis.call('HSET', letter_key(id), 'suspect', 'storm-' .. whole(now))
      seen[code] = true
    end
  end
  for _, code in ipairs(STORM_CODES) do
    if seen[code] then codes[#codes + 1] = code end
  end
  return codes
end

-- A refusal of many logins in a row: our customer id is wrong, more likely than all of them.
local function watch_for_storm(ref, letter, item)
  local key = invalid_key(instance, fingerprint)
  redis.call('HSETNX', configs_key(instance), fingerprint, '') -- so that opening by hand finds the run
  redis.call('HSET', key, ref, letter)
  redis.call('PEXPIRE', key, DAY)
  has_run = true
  local run = redis.call('HLEN', key)
  if run < (gate.storm_limit or storm_logins) then return end
  local codes = suspect_letters(redis.call('HVALS', key), item.code)
  redis.call('DEL', key)
  stand('suspect')
  local text = run .. ' logins in a row, and no success in between'
  if not shut('storm', { code = table.concat(codes, ' or '), status = '', message = text }) then return end
  for _, code in ipairs(codes) do
    for _, wish in ipairs({ 'on', 'off' }) do
      redis.call('ZREM', 'nightly:notices', group_notice(instance .. '|' .. code .. '|' .. wish))
    end
  end
end

local function end_canaries(ref, item)
  if config.canary == ref then
    redis.call('HDEL', configs_key(instance), fingerprint .. ':canary', fingerprint .. ':canary_login')
    config.canary, config.canary_until = nil, 0
  end
  if gate.is_out and gate.canary == ref then
    gate = end_probe(instance, gate, item.outcome, item.outcome ~= 'halt' and not has(item, 'd'), now)
  end
end
