-- Notes the counters of all instances once a minute, for the pictures of the last day (worker/ledger/minutes.py).
--
-- nightly:minutes  list of JSON, oldest first: [time in ms, {instance: [recorded, applied, calls, failures,
--                  dead_lettered, due now, waiting for later, in flight, time of the oldest due one in ms or 0]}].
--                  The first five count from the beginning of the ledger.

local note_minute

do -- Private to this file: a chunk of Lua holds at most 200 local variables.

local MINUTES, MINUTE, KEPT = 'nightly:minutes', 60000, 1500

-- Returns the time of the last note; nil: there is none. Notes of the future are from before the clock was set back:
-- they are deleted.
local function last_noted_at(now)
  for _ = 1, KEPT do
    local last = redis.call('LINDEX', MINUTES, -1)
    local at = last and tonumber(last:match('^%[(%d+)'))
    if not last or (at and at <= now) then return at or nil end
    redis.call('RPOP', MINUTES)
  end
end

local function sum(tally, ...)
  local total = 0
  for _, name in ipairs({ ... }) do total = total + number_or_zero(tally[name]) end
  return whole(total)
end

local function read_tally(instance)
  local flat, tally = redis.call('HGETALL', tally_key(instance)), {}
  for i = 1, #flat, 2 do tally[flat[i]] = flat[i + 1] end
  return tally
end

local function counters_of(instance, now)
  local tally, due, all, oldest = read_tally(instance), 0, 0, now + 1
  for _, lane in ipairs({ 'live', 'backfill' }) do
    local key = due_key(instance, lane)
    due, all = due + redis.call('ZCOUNT', key, '-inf', now), all + redis.call('ZCARD', key)
    oldest = math.min(oldest, tonumber(redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2] or now + 1))
  end
  return table.concat({
    sum(tally, 'recorded'), sum(tally, 'applied_on', 'applied_off'), sum(tally, 'calls'),
    sum(tally, 'retried', 'throttled', 'dead_lettered'), sum(tally, 'dead_lettered'),
    whole(due), whole(all - due), whole(redis.call('ZCARD', leases_key(instance))),
    oldest <= now and whole(oldest) or '0',
  }, ',')
end

-- Note the counters, unless that was done in this minute.
function note_minute(now)
  local noted_at = last_noted_at(now)
  if noted_at and math.floor(noted_at / MINUTE) == math.floor(now / MINUTE) then return end
  local texts = {}
  for _, instance in ipairs(redis.call('SMEMBERS', 'nightly:instances')) do
    texts[#texts + 1] = cjson.encode(instance) .. ':[' .. counters_of(instance, now) .. ']'
  end
  redis.call('RPUSH', MINUTES, '[' .. whole(now) .. ',{' .. table.concat(texts, ',') .. '}]')
  redis.call('LTRIM', MINUTES, -KEPT, -1)
end

end
