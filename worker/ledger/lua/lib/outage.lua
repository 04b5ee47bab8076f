-- Whether Flinks is down, judged by the calls of all workers.
--
-- A call is a bad sign if it had no usable Flinks response, and was the first such call of its login since that login's
-- last other result: a login that always fails says nothing new. A usable response is a good sign. An outage is a share
-- of bad signs within a sliding window, or a number of bad signs in a row, however slowly they came.
--
-- nightly:health:<instance>, one hash:
--   0 .. 9            buckets of the window: "slot:good:bad"
--   bad, bad_since    bad signs since the last good one, and the time of the first of them
-- nightly:good:<instance>:<worker>   time of that worker's last good sign, ms; expires after the window
-- nightly:ill:<instance>:<worker>    time of its first bad sign since then, ms; expires after the window
-- If another worker had a good sign after this worker's first bad one, the network of this worker is at fault: it is
-- excluded for a minute, with a notice at most once an hour. Within that hour, any good sign of another worker within
-- the window is enough to exclude it again.

local BUCKETS = 10
local EXCLUDED_NOTICE_AGAIN = 3600000

local function good_key(instance, worker) return 'nightly:good:' .. instance .. ':' .. worker end
local function ill_key(instance, worker) return 'nightly:ill:' .. instance .. ':' .. worker end
local function excluded_notice_key(instance, worker) return excluded_key(instance, worker) .. ':noticed' end

local function exclude(instance, worker, now, detail)
  redis.call('SET', excluded_key(instance, worker), '1', 'PX', EXCLUDED_FOR)
  if redis.call('SET', excluded_notice_key(instance, worker), '1', 'NX', 'PX', EXCLUDED_NOTICE_AGAIN) then
    give_notice('excluded|' .. instance .. '|' .. worker .. '|' .. detail, now)
  end
end

-- FIELD.failures_while_down holds a login's charged failures in a row that said Flinks is down, as "first:last:count",
-- times in ms. If the first of them is the login's first failure, it is shortened to "<last - first>:<count>", and to
-- "1" for a single one.

-- Returns the times of the first and the last of these failures, and their count.
local function read_failures_in_a_row(text, first_failure)
  if not text then return nil, nil, 0 end
  first_failure = tonumber(first_failure)
  if text == '1' and first_failure then return first_failure, first_failure, 1 end
  local lasted, count = text:match('^(%d+):(%d+)$')
  if lasted and first_failure then return first_failure, first_failure + lasted, tonumber(count) end
  local first, last, count_of_three = text:match('^(%d+):(%d+):(%d+)$')
  return tonumber(first), tonumber(last), number_or_zero(count_of_three)
end

local function failures_in_a_row_text(first, last, count, first_failure)
  if first ~= tonumber(first_failure) then return string.format('%.0f:%.0f:%d', first, last, count) end
  return count == 1 and '1' or string.format('%.0f:%d', last - first, count)
end

-- Count the signs of calls before they are settled, so that the calls that show an outage are not charged for it.
local function signs_of(calls, rules)
  local good, bad = 0, 0
  for _, call in ipairs(calls) do
    local item = call.item
    if item.flags == '' or not item.flags:find('d', 1, true) then
      if item.outcome ~= 'unsent' and item.outcome ~= 'halt' then good = good + 1 end
    else
      local login = read_flight(call.ref)
      if rules.is_held(login, call.number) and not login.failures_while_down then bad = bad + 1 end
    end
  end
  return good, bad
end

-- Add signs to the bucket of now; a good sign ends the bad signs in a row.
local function add_signs(instance, good, bad, slot)
  local key = health_key(instance)
  local bucket, in_a_row, since = unpack(redis.call('HMGET', key, slot % BUCKETS, 'bad', 'bad_since'))
  if good > 0 and (in_a_row or since) then redis.call('HDEL', key, 'bad', 'bad_since') end
  local bucket_slot, good_before, bad_before = (bucket or ''):match('^(%d+):(%d+):(%d+)$')
  if tonumber(bucket_slot) == slot then good, bad = good + good_before, bad + bad_before end
  redis.call('HSET', key, slot % BUCKETS, string.format('%.0f:%d:%d', slot, good, bad))
end

-- The good and the bad signs of the whole window.
local function signs_in_window(instance, slot)
  local good, bad = 0, 0
  local all = redis.call('HGETALL', health_key(instance))
  for i = 2, #all, 2 do
    local bucket_slot, good_then, bad_then = all[i]:match('^(%d+):(%d+):(%d+)$')
    bucket_slot = tonumber(bucket_slot)
    if bucket_slot and bucket_slot <= slot and bucket_slot > slot - BUCKETS then
      good, bad = good + good_then, bad + bad_then
    end
  end
  return good, bad
end

-- Store the time of this worker's last good sign, and that of its first bad sign since.
local function note_worker(instance, worker, good, bad, now, window)
  if good > 0 then
    redis.call('SET', good_key(instance, worker), whole(now), 'PX', window)
    redis.call('DEL', ill_key(instance, worker))
  elseif bad > 0 then
    redis.call('SET', ill_key(instance, worker), whole(now), 'NX', 'PX', window)
  end
end

local function is_alone_failing(instance, worker)
  local since = number_or_nil(redis.call('GET', ill_key(instance, worker)))
  if not since then return false end -- its last sign was good
  if redis.call('EXISTS', excluded_notice_key(instance, worker)) == 1 then since = 0 end
  for _, other in ipairs(redis.call('HKEYS', 'nightly:workers')) do
    local well_at = number_or_nil(redis.call('GET', good_key(instance, other)))
    if other ~= worker and well_at and well_at > since then return true end
  end
  return false
end

-- Returns the gate as the signs of these calls leave it.
local function watch_health(instance, gate, calls, now, rules)
  if gate.is_out then return gate end
  local good, bad = signs_of(calls, rules)
  if good + bad == 0 then return gate end
  local key = health_key(instance)
  note_worker(instance, rules.worker, good, bad, now, rules.window)
  local slot = math.floor(now / math.max(1, rules.window / BUCKETS))
  add_signs(instance, good, bad, slot)
  if bad == 0 then return gate end
  local all_good, all_bad = signs_in_window(instance, slot)
  redis.call('HSETNX', key, 'bad_since', whole(now))
  local in_a_row = increase(key, 'bad', bad)
  local all = all_good + all_bad
  local is_share = all >= rules.calls and all_bad >= rules.ratio * all
  if not is_share and in_a_row < rules.in_a_row then return gate end
  local detail = is_share and string.format('%d of the last %d calls failed', all_bad, all)
    or string.format('%d calls in a row failed', in_a_row)
  if is_alone_failing(instance, rules.worker) then
    exclude(instance, rules.worker, now, detail)
    return gate
  end
  local since = math.min(now - rules.window, tonumber(redis.call('HGET', key, 'bad_since')) or now)
  return begin_outage(instance, gate, since, detail, now)
end
