-- The gate of an instance: whether calls may be made, what shuts and opens it, how an outage begins and ends.
--
-- nightly:gate:<instance>  hash; no such key: open. A halt, a storm or a person shuts the gate; an outage holds calls
--     independently of that
--   state open | closed    cause halt | storm | operator, or what opened it    changed_at, ms
--   code, http_status, detail, by, fingerprint    for the person who reads it
--   outage 1: Flinks is down    outage_at, outage_detail    its begin, and the failures that showed it
--   probe_at, probe_wait, probes    time of the next trial call, the wait before it, number of trials so far
--   canary, canary_until            the login whose call is the trial, and the end of its lease
--   outage_from, outage_to          failures between these times are the outage's: their attempts are not charged
--   held_since     since when the gate or an outage holds calls
--   held_ms, held_to    total time in which calls were held, counted up to held_to: by the gate, by an outage, while no
--     worker was alive, and by a pause that Flinks asked for (counted in advance). No wish ages in that time
--   storm_limit    refused logins in a row that are a storm, once a person has opened the gate after a storm
-- nightly:configs:<instance>  hash: the standing of each configuration, by its fingerprint
--   proven    calls were confirmed         doubted  a call was refused: one call at a time, until one is confirmed
--   refused   Flinks refuses it            suspect  it caused a storm: both make no calls until a person opens the gate
--   unreachable  one call a minute         (none)   not tried yet: one call at a time, until one is confirmed
--   <fingerprint>:canary, :canary_login    the one call in flight: the end of its lease, and its login
--   <fingerprint>:doubt, :doubts           the login that was refused, and its refusals in a row
--   <fingerprint>:lost                     DNS or TLS failures in a row
--   <fingerprint>:used                     last use by a worker, ms, to the day
-- nightly:alive                           last heartbeat of any worker, ms
-- nightly:excluded:<instance>:<worker>     a worker whose calls alone fail: it makes none until this key expires

local PROBE_LONGEST = 60000
local LONGEST_LEASE = 200000
local LONGEST_PAUSE = 3600000

local EXCLUDED_FOR = 60000

local function excluded_key(instance, worker) return 'nightly:excluded:' .. instance .. ':' .. worker end

-- Returns for how long a worker is still excluded, ms. A longer time than any exclusion is from before Redis' clock was
-- set back.
local function excluded_ms(instance, worker)
  local left = redis.call('PTTL', excluded_key(instance, worker))
  return left <= EXCLUDED_FOR and math.max(left, 0) or 0
end

local function read_gate(instance)
  local state, cause, outage, outage_from, outage_to, probe_at, probe_wait, canary, canary_until, held_since, held_ms,
    held_to, storm_limit = unpack(redis.call('HMGET', gate_key(instance),
      'state', 'cause', 'outage', 'outage_from', 'outage_to', 'probe_at', 'probe_wait', 'canary', 'canary_until',
      'held_since', 'held_ms', 'held_to', 'storm_limit'))
  return {
    is_shut = state == 'closed', cause = cause, is_out = outage == '1',
    outage_from = number_or_nil(outage_from), outage_to = number_or_nil(outage_to),
    probe_at = number_or_zero(probe_at), probe_wait = number_or_zero(probe_wait),
    canary = canary, canary_until = number_or_zero(canary_until),
    held_since = number_or_nil(held_since), held_ms = number_or_zero(held_ms), held_to = number_or_zero(held_to),
    storm_limit = number_or_nil(storm_limit), alive_at = number_or_nil(redis.call('GET', 'nightly:alive')),
  }
end

local function used_field(fingerprint) return fingerprint .. ':used' end

local function is_shut_by(gate, cause) return gate.is_shut and gate.cause == cause end

local function read_config(instance, fingerprint)
  local standing, canary_until, canary, lost = unpack(redis.call('HMGET', configs_key(instance), fingerprint,
    fingerprint .. ':canary', fingerprint .. ':canary_login', fingerprint .. ':lost'))
  return { standing = standing or '', canary_until = number_or_zero(canary_until), canary = canary, lost = lost }
end

-- Returns the time up to which held_ms counts. A time further ahead than the longest pause was written before the clock
-- was set back: ignored.
local function counted_to(gate, now) return gate.held_to <= now + LONGEST_PAUSE and gate.held_to or 0 end

-- Returns since when calls are held; now, if they are not.
local function held_from(gate, now)
  local from = gate.held_since or now
  return gate.alive_at and now - gate.alive_at > SILENT and math.min(from, gate.alive_at) or from
end

-- Returns for how long calls of this instance were held in all, ms.
local function held_ms(gate, now)
  local to = counted_to(gate, now)
  return gate.held_ms - math.max(to - now, 0) + math.max(now - math.max(held_from(gate, now), to), 0)
end

-- Count a time in which calls were held, without the part that is counted already.
local function count_held(instance, gate, from, to, now)
  from = math.max(from, counted_to(gate, now))
  if to <= from then return end
  gate.held_ms, gate.held_to = gate.held_ms + to - from, to
  redis.call('HSET', gate_key(instance), 'held_ms', whole(gate.held_ms), 'held_to', whole(to))
end

-- Whether a time lies ahead. A time further ahead than the longest possible was written before the clock was set back.
local function is_ahead(moment, now, longest) return moment > now and moment <= now + longest end

-- A halt or a storm stops only the configuration that caused it, by its standing: a worker with another one may call,
-- and its confirmed call opens the gate. A person's closing and an outage stop all configurations.
-- Returns whether a configuration may call: open | canary (one call) | waiting (for the canary in flight) | closed; and
-- after how many ms to ask again (-1: no sooner than something changes).
local function admission(gate, config, now)
  if config.standing == 'refused' or config.standing == 'suspect' then return 'closed', -1 end
  if is_shut_by(gate, 'operator') then return 'closed', -1 end
  if gate.is_out then
    if is_ahead(gate.canary_until, now, LONGEST_LEASE) then return 'waiting', gate.canary_until - now end
    if is_ahead(gate.probe_at, now, PROBE_LONGEST) then return 'closed', gate.probe_at - now end
    return 'canary', 0
  end
  if config.standing == 'proven' then return 'open', 0 end
  if is_ahead(config.canary_until, now, LONGEST_LEASE) then
    return config.canary and 'waiting' or 'closed', config.canary_until - now
  end
  return 'canary', 0
end

-- Note the canary: the one call whose result decides whether more may follow.
local function send_canary(instance, gate, config, fingerprint, ref, until_ms)
  if gate.is_out then
    redis.call('HSET', gate_key(instance), 'canary', ref, 'canary_until', whole(until_ms))
  end
  if config.standing ~= 'proven' then
    redis.call('HSET', configs_key(instance), fingerprint .. ':canary', whole(until_ms),
      fingerprint .. ':canary_login', ref)
  end
end

-- How it is shut and opened.

local PROBE_FIRST = 5000
local KEPT_CHANGES = 200
local FIELDS_OF_SHUT_GATE = { 'code', 'http_status', 'detail', 'by', 'fingerprint' }
local FIELDS_OF_OUTAGE = {
  'outage', 'outage_at', 'outage_detail', 'probe_at', 'probe_wait', 'probes', 'canary', 'canary_until',
}

local function changes_key(instance) return 'nightly:gate-changes:' .. instance end
local function health_key(instance) return 'nightly:health:' .. instance end
local function invalid_key(instance, fingerprint) return 'nightly:invalid:' .. instance .. ':' .. fingerprint end

-- Log a change of the gate, give notice of it, and return the gate as it is now. A gate that opens starts at one call a
-- second and climbs, so that the backlog is no stampede.
local function announce_change(instance, before, change, now)
  local key, gate = gate_key(instance), read_gate(instance)
  local was_held, is_held = before.is_shut or before.is_out, gate.is_shut or gate.is_out
  change.at = now
  if is_held and not was_held then
    redis.call('HSET', key, 'held_since', whole(now))
  elseif was_held and not is_held then
    change.held_ms = before.held_since and math.max(now - before.held_since, 0) or 0
    count_held(instance, before, held_from(before, now), now, now)
    redis.call('HDEL', key, 'held_since')
    redis.call('HSET', rate_key(instance), 'rate', '1', 'changed_at', whole(now))
  end
  local text = cjson.encode(change)
  redis.call('RPUSH', changes_key(instance), text)
  redis.call('LTRIM', changes_key(instance), -KEPT_CHANGES, -1)
  give_notice('gate|' .. instance .. '|' .. text, now)
  return read_gate(instance)
end

-- Shut or open the gate; `about` is a list: field, value, ...
local function turn_gate(instance, gate, state, cause, now, about)
  local change = { state = state, cause = cause }
  for i = 1, #about, 2 do change[about[i]] = about[i + 1] end
  redis.call('HDEL', gate_key(instance), unpack(FIELDS_OF_SHUT_GATE))
  redis.call('HSET', gate_key(instance), 'state', state, 'cause', cause, 'changed_at', whole(now), unpack(about))
  return announce_change(instance, gate, change, now)
end

-- End a pause early; its remaining time does not count as held.
local function end_pause(instance, gate, now)
  redis.call('HDEL', rate_key(instance), 'paused_until')
  local ahead = counted_to(gate, now) - now
  if ahead <= 0 then return end
  gate.held_ms, gate.held_to = gate.held_ms - ahead, now
  redis.call('HSET', gate_key(instance), 'held_ms', whole(gate.held_ms), 'held_to', whole(now))
end

-- Forget the outage without a notice; outage_from and outage_to stay, so its failures are still not charged.
local function clear_outage(instance, gate, now)
  redis.call('HDEL', gate_key(instance), unpack(FIELDS_OF_OUTAGE))
  redis.call('DEL', health_key(instance))
  if gate.is_out then redis.call('HSET', gate_key(instance), 'outage_to', whole(now)) end
end

local function begin_outage(instance, gate, since, detail, now)
  redis.call('HSET', gate_key(instance), 'outage', '1', 'outage_at', whole(now), 'outage_detail', detail,
    'outage_from', whole(since), 'probe_at', whole(now + PROBE_FIRST), 'probe_wait', PROBE_FIRST)
  redis.call('HDEL', gate_key(instance), 'outage_to')
  redis.call('DEL', health_key(instance))
  return announce_change(instance, gate, { state = 'closed', cause = 'outage', detail = detail }, now)
end

-- A gate that another cause shut stays closed, with that cause and its time.
local function end_outage(instance, gate, now)
  local cause = 'Flinks answers again'
  clear_outage(instance, gate, now)
  if gate.is_shut then return announce_change(instance, gate, { state = 'closed', cause = cause }, now) end
  return turn_gate(instance, gate, 'open', cause, now, {})
end

-- The trial call of an outage has ended: end the outage, or wait longer for the next trial. A call that was never sent
-- decides nothing.
local function end_probe(instance, gate, outcome, is_answered, now)
  redis.call('HDEL', gate_key(instance), 'canary', 'canary_until')
  gate.canary, gate.canary_until = nil, 0
  if outcome == 'unsent' then return gate end
  if is_answered then return end_outage(instance, gate, now) end
  local wait = math.min(2 * gate.probe_wait, PROBE_LONGEST)
  gate.probe_at, gate.probe_wait = now + wait, wait
  redis.call('HSET', gate_key(instance), 'probe_at', whole(gate.probe_at), 'probe_wait', wait)
  increase(gate_key(instance), 'probes', 1)
  return gate
end
