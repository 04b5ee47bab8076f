-- How the gate of an instance is shut and opened, and how an outage begins and ends. It is put behind gate.lua.

local PROBE_FIRST = 5000
local KEPT_CHANGES = 200
local OF_A_SHUT_GATE = { 'code', 'http_status', 'detail', 'by', 'fingerprint' }
local OF_AN_OUTAGE = {
  'outage', 'outage_at', 'outage_detail', 'probe_at', 'probe_wait', 'probes', 'canary', 'canary_until',
}

local function changes_key(instance) return 'nightly:gate-changes:' .. instance end
local function health_key(instance) return 'nightly:health:' .. instance end
local function invalid_key(instance, fingerprint) return 'nightly:invalid:' .. instance .. ':' .. fingerprint end

-- Keep what was turned, let a person hear of it, and return the gate as it is now. What opens again begins at
-- one call a second and climbs, so that what waited is no stampede.
local function turned(instance, before, change, now)
  local key, gate = gate_key(instance), read_gate(instance)
  local was_held, is_held = before.is_shut or before.is_out, gate.is_shut or gate.is_out
  change.at = now
  if is_held and not was_held then
    redis.call('HSET', key, 'held_since', whole(now))
  elseif was_held and not is_held then
    change.held_ms = before.held_since and later(now - before.held_since, 0) or 0
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

-- Shut the gate, or open it; `about`: field, value, ...
local function turn_gate(instance, gate, state, cause, now, about)
  local change = { state = state, cause = cause }
  for i = 1, #about, 2 do change[about[i]] = about[i + 1] end
  redis.call('HDEL', gate_key(instance), unpack(OF_A_SHUT_GATE))
  redis.call('HSET', gate_key(instance), 'state', state, 'cause', cause, 'changed_at', whole(now), unpack(about))
  return turned(instance, gate, change, now)
end

-- A pause ends early: the rest of it was not held.
local function end_pause(instance, gate, now)
  redis.call('HDEL', rate_key(instance), 'paused_until')
  local ahead = counted_to(gate, now) - now
  if ahead <= 0 then return end
  gate.held_ms, gate.held_to = gate.held_ms - ahead, now
  redis.call('HSET', gate_key(instance), 'held_ms', whole(gate.held_ms), 'held_to', whole(now))
end

-- Forget the outage, without telling; its failures are still known as its own.
local function clear_outage(instance, gate, now)
  redis.call('HDEL', gate_key(instance), unpack(OF_AN_OUTAGE))
  redis.call('DEL', health_key(instance))
  if gate.is_out then redis.call('HSET', gate_key(instance), 'outage_to', whole(now)) end
end

local function begin_outage(instance, gate, since, detail, now)
  redis.call('HSET', gate_key(instance), 'outage', '1', 'outage_at', whole(now), 'outage_detail', detail,
    'outage_from', whole(since), 'probe_at', whole(now + PROBE_FIRST), 'probe_wait', PROBE_FIRST)
  redis.call('HDEL', gate_key(instance), 'outage_to')
  redis.call('DEL', health_key(instance))
  return turned(instance, gate, { state = 'closed', cause = 'outage', detail = detail }, now)
end

local function end_outage(instance, gate, now)
  clear_outage(instance, gate, now)
  local state = gate.is_shut and 'closed' or 'open'
  return turned(instance, gate, { state = state, cause = 'Flinks answers again' }, now)
end

-- The one call that tries whether the outage is over has ended. One that was never sent says nothing.
local function end_probe(instance, gate, outcome, is_answered, now)
  redis.call('HDEL', gate_key(instance), 'canary', 'canary_until')
  gate.canary, gate.canary_until = nil, 0
  if outcome == 'unsent' then return gate end
  if is_answered then return end_outage(instance, gate, now) end
  local wait = math.min(2 * gate.probe_wait, PROBE_LONGEST)
  gate.probe_at, gate.probe_wait = now + wait, wait
  redis.call('HSET', gate_key(instance), 'probe_at', whole(gate.probe_at), 'probe_wait', wait)
  redis.call('HINCRBY', gate_key(instance), 'probes', 1)
  return gate
end
