-- What the scripts share about the gate of an instance: whether calls may be made, and who shut it and why.
-- It is put behind the prelude and in front of each script.
--
-- nightly:gate:<instance> is one hash; none means open:
--   state open | closed    cause halt | outage | storm | operator, or what opened it    changed_at, ms
--   code, http_status, detail, by, fingerprint    for the person who reads it
--   held_since, held_ms    since when calls are held, and how long they were held before: no wish ages meanwhile
--   probe_at, probe_wait, probes    in an outage: when one call may try next, ms before that, how many tried
--   canary, canary_until            in an outage: the login that tries, and until when it is waited for
--   outage_from, outage_to          failures between these were the outage's: their attempts are given back
--   storm_limit    INVALID_LOGINs in a row that are a storm, once a person has opened the gate after one
--   unreachable    failures in a row to find the host
-- nightly:configs:<instance> holds the standing of each configuration, by its fingerprint:
--   proven    calls were confirmed         doubted  one login was refused: one call at a time, until one is confirmed
--   refused   Flinks refuses it            suspect  a storm came of it: neither calls until a person opens the gate
--   unreachable  one call a minute         (none)   not tried yet: one call at a time, until one is confirmed
--   <fingerprint>:canary, :canary_login    the one call that is out: until when, and for whom

local PROBE_FIRST, PROBE_LONGEST = 5000, 60000
local LONGEST_LEASE = 200000
local KEPT_CHANGES = 200
local GONE_WHEN_TURNED = {
  'code', 'http_status', 'detail', 'by', 'fingerprint', 'probe_at', 'probe_wait', 'probes', 'canary', 'canary_until',
  'unreachable',
}

local function changes_key(instance) return 'nightly:gate-changes:' .. instance end
local function health_key(instance) return 'nightly:health:' .. instance end
local function invalid_key(instance) return 'nightly:invalid:' .. instance end

local function read_gate(instance)
  local got = redis.call('HMGET', gate_key(instance), 'state', 'cause', 'held_since', 'held_ms', 'probe_at',
    'probe_wait', 'canary', 'canary_until', 'outage_from', 'outage_to', 'storm_limit')
  local number = function(at) return tonumber(got[at] or '0') or 0 end
  return {
    is_closed = got[1] == 'closed', cause = got[2], held_since = tonumber(got[3] or ''), held_ms = number(4),
    probe_at = number(5), probe_wait = number(6), canary = got[7], canary_until = number(8),
    outage_from = tonumber(got[9] or ''), outage_to = tonumber(got[10] or ''), storm_limit = tonumber(got[11] or ''),
  }
end

local function is_shut_by(gate, cause) return gate.is_closed and gate.cause == cause end

local function read_config(instance, fingerprint)
  local got = redis.call('HMGET', configs_key(instance), fingerprint, fingerprint .. ':canary',
    fingerprint .. ':canary_login')
  return { standing = got[1] or '', canary_until = tonumber(got[2] or '0') or 0, canary = got[3] }
end

-- How long calls of this instance were held back so far, ms.
local function held_ms(gate, now)
  return gate.held_ms + (gate.held_since and later(now - gate.held_since, 0) or 0)
end

-- May this configuration call? Returns open | canary (one call) | waiting (for the canary that is out) | closed,
-- and the ms after which asking again makes sense (-1: only when something has changed).
local function admission(gate, config, now)
  if config.standing == 'refused' or config.standing == 'suspect' then return 'closed', -1 end
  if is_shut_by(gate, 'operator') then return 'closed', -1 end
  if is_shut_by(gate, 'outage') then
    if is_ahead(gate.canary_until, now, LONGEST_LEASE) then return 'waiting', gate.canary_until - now end
    if is_ahead(gate.probe_at, now, PROBE_LONGEST) then return 'closed', gate.probe_at - now end
    return 'canary', 0
  end
  if config.standing == 'proven' then return 'open', 0 end
  if is_ahead(config.canary_until, now, LONGEST_LEASE) then return 'waiting', config.canary_until - now end
  return 'canary', 0
end

-- One call is out to find out whether more may follow.
local function send_canary(instance, gate, config, fingerprint, ref, until_ms)
  if is_shut_by(gate, 'outage') then
    redis.call('HSET', gate_key(instance), 'canary', ref, 'canary_until', whole(until_ms))
  end
  if config.standing ~= 'proven' then
    redis.call('HSET', configs_key(instance), fingerprint .. ':canary', whole(until_ms),
      fingerprint .. ':canary_login', ref)
  end
end

local function keep_change(instance, change, now)
  local text = cjson.encode(change)
  redis.call('RPUSH', changes_key(instance), text)
  redis.call('LTRIM', changes_key(instance), -KEPT_CHANGES, -1)
  give_notice('gate|' .. instance .. '|' .. text, now)
end

-- Shut the gate or open it, keep the change, and let a person hear of it. `about`: field, value, ...
-- Opening begins at one call a second and climbs, so that what waited is no stampede.
local function turn_gate(instance, gate, state, cause, now, about)
  local key, change = gate_key(instance), { at = now, state = state, cause = cause }
  for i = 1, #about, 2 do change[about[i]] = about[i + 1] end
  redis.call('HDEL', key, unpack(GONE_WHEN_TURNED))
  redis.call('HSET', key, 'state', state, 'cause', cause, 'changed_at', whole(now), unpack(about))
  if state == 'closed' and not gate.is_closed then
    redis.call('HSET', key, 'held_since', whole(now))
  elseif state == 'open' and gate.is_closed then
    redis.call('HSET', key, 'held_ms', whole(held_ms(gate, now)))
    redis.call('HDEL', key, 'held_since')
    redis.call('HSET', rate_key(instance), 'rate', '1', 'changed_at', whole(now))
    change.held_ms = gate.held_since and later(now - gate.held_since, 0) or 0
    if gate.outage_from and not gate.outage_to then redis.call('HSET', key, 'outage_to', whole(now)) end
  end
  redis.call('DEL', health_key(instance))
  keep_change(instance, change, now)
  return read_gate(instance)
end
