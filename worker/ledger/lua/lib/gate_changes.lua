-- Shuts and opens the gate of an instance, and begins and ends an outage.

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

local function end_outage(instance, gate, now)
  clear_outage(instance, gate, now)
  local state = gate.is_shut and 'closed' or 'open'
  return announce_change(instance, gate, { state = state, cause = 'Flinks answers again' }, now)
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
  redis.call('HINCRBY', gate_key(instance), 'probes', 1)
  return gate
end
