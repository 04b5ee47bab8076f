-- Whether Flinks is down, as the calls of all workers tell. It is put behind gate.lua and in front of credentials.lua.
--
-- A call is a sign of trouble if it brought no answer of Flinks' own, and was the first such of its login since that
-- login's last other answer: a login that fails for ever says nothing new. Any answer of Flinks' own is a sign of
-- health. An outage is a share of bad signs within a sliding window, or so many in a row, however slowly they came.
--
-- nightly:health:<instance>, one hash:
--   0 .. 9            buckets of the window: "slot:good:bad"
--   bad, bad_since    bad signs since the last good one, and when the first of them was
-- nightly:good:<instance>:<worker>   that worker's last good sign, ms; gone after the window
-- nightly:ill:<instance>:<worker>    its first bad sign since then, ms; gone after the window
-- If another worker had a good sign after this one's first bad one, it is this one's network: it is benched, and a
-- person is told once an hour. For that hour another's good sign within the window is enough.

local BUCKETS = 10
local BENCHED, TELL_AGAIN = 60000, 3600000

local function good_key(instance, worker) return 'nightly:good:' .. instance .. ':' .. worker end
local function ill_key(instance, worker) return 'nightly:ill:' .. instance .. ':' .. worker end
local function told_key(instance, worker) return bench_key(instance, worker) .. ':told' end

local function bench(instance, worker, now, detail)
  redis.call('SET', bench_key(instance, worker), '1', 'PX', BENCHED)
  if redis.call('SET', told_key(instance, worker), '1', 'NX', 'PX', TELL_AGAIN) then
    give_notice('bench|' .. instance .. '|' .. worker .. '|' .. detail, now)
  end
end

-- Count the signs of a settlement before it is carried out, so that those which show an outage are not charged for it.
local function signs_of(items, rules)
  local good, bad = 0, 0
  for _, item in ipairs(items) do
    if not item.flags:find('d', 1, true) then
      if item.outcome ~= 'unsent' and item.outcome ~= 'halt' then good = good + 1 end
    else
      local login = read_flight(item.ref)
      if rules.is_held(login, item.number) and not login.failures_while_down then bad = bad + 1 end
    end
  end
  return good, bad
end

-- Add signs to the bucket of now; a good one ends what was bad in a row.
local function add_signs(instance, good, bad, slot)
  local key = health_key(instance)
  local got = redis.call('HMGET', key, slot % BUCKETS, 'bad', 'bad_since')
  if good > 0 and (got[2] or got[3]) then redis.call('HDEL', key, 'bad', 'bad_since') end
  local at, well, ill = (got[1] or ''):match('^(%d+):(%d+):(%d+)$')
  if tonumber(at) == slot then good, bad = good + well, bad + ill end
  redis.call('HSET', key, slot % BUCKETS, string.format('%.0f:%d:%d', slot, good, bad))
end

-- The good and the bad signs of the whole window.
local function signs_in_window(instance, slot)
  local good, bad = 0, 0
  local all = redis.call('HGETALL', health_key(instance))
  for i = 2, #all, 2 do
    local at, well, ill = all[i]:match('^(%d+):(%d+):(%d+)$')
    at = tonumber(at)
    if at and at <= slot and at > slot - BUCKETS then good, bad = good + well, bad + ill end
  end
  return good, bad
end

-- Keep when this worker was well last, and since when it has not been.
local function note_worker(instance, worker, good, bad, now, window)
  if good > 0 then
    redis.call('SET', good_key(instance, worker), whole(now), 'PX', window)
    redis.call('DEL', ill_key(instance, worker))
  elseif bad > 0 then
    redis.call('SET', ill_key(instance, worker), whole(now), 'NX', 'PX', window)
  end
end

local function is_alone_failing(instance, worker)
  local since = tonumber(redis.call('GET', ill_key(instance, worker)) or '')
  if not since then return false end -- it was well just now
  if redis.call('EXISTS', told_key(instance, worker)) == 1 then since = 0 end
  for _, other in ipairs(redis.call('HKEYS', 'nightly:workers')) do
    local well_at = tonumber(redis.call('GET', good_key(instance, other)) or '')
    if other ~= worker and well_at and well_at > since then return true end
  end
  return false
end

-- Returns the gate as it is after the signs of these calls.
local function watch_health(instance, gate, items, now, rules)
  if gate.is_out then return gate end
  local good, bad = signs_of(items, rules)
  if good + bad == 0 then return gate end
  local key = health_key(instance)
  note_worker(instance, rules.worker, good, bad, now, rules.window)
  local slot = math.floor(now / math.max(1, rules.window / BUCKETS))
  add_signs(instance, good, bad, slot)
  if bad == 0 then return gate end
  local all_good, all_bad = signs_in_window(instance, slot)
  redis.call('HSETNX', key, 'bad_since', whole(now))
  local in_a_row = redis.call('HINCRBY', key, 'bad', bad)
  local all = all_good + all_bad
  local is_share = all >= rules.calls and all_bad >= rules.ratio * all
  if not is_share and in_a_row < rules.in_a_row then return gate end
  local detail = is_share and string.format('%d of the last %d calls failed', all_bad, all)
    or string.format('%d calls in a row failed', in_a_row)
  if is_alone_failing(instance, rules.worker) then
    bench(instance, rules.worker, now, detail)
    return gate
  end
  local since = math.min(now - rules.window, tonumber(redis.call('HGET', key, 'bad_since')) or now)
  return begin_outage(instance, gate, since, detail, now)
end
