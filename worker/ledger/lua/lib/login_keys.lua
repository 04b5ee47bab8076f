-- Which of LOGIN_KEYS sealed a value, which live workers hold that key, and since when none does.
--
-- Each worker lists the ids of its keys in nightly:workers, newest first.
-- nightly:missing-keys      hash: id of a key that no live worker holds -> "<first missed>:<last missed>", ms
-- nightly:missing-noticed:<id> there for an hour after a person was told of it

local MISSING_TOLD_AFTER, MISSING_TOLD_AGAIN, MISSING_FORGOTTEN = 60000, 3600000, 600000

-- What the workers that were heard of lately say about themselves, by their names.
local function live_workers(now)
  local found, all = {}, redis.call('HGETALL', 'nightly:workers')
  for i = 1, #all, 2 do
    local about = cjson.decode(all[i + 1])
    if now - about.at <= SILENT then found[all[i]] = about end
  end
  return found
end

local function holds(about, key_id)
  for _, id in ipairs(about.keys or {}) do
    if id == key_id then return true end
  end
  return false
end

local function is_held_by_any(workers, key_id)
  for _, about in pairs(workers) do
    if holds(about, key_id) then return true end
  end
  return false
end

-- Note that no live worker holds a key. Returns for how long that has been so, ms; after a minute a person is notified.
local function note_missing(key_id, now)
  local first, last = (redis.call('HGET', 'nightly:missing-keys', key_id) or ''):match('^(%d+):(%d+)$')
  first = first and now - last <= MISSING_FORGOTTEN and math.min(first, now) or now
  redis.call('HSET', 'nightly:missing-keys', key_id, whole(first) .. ':' .. whole(now))
  redis.call('PEXPIRE', 'nightly:missing-keys', DAY)
  local told = 'nightly:missing-noticed:' .. key_id
  if now - first >= MISSING_TOLD_AFTER and redis.call('SET', told, '1', 'NX', 'PX', MISSING_TOLD_AGAIN) then
    give_notice('key|' .. key_id .. '|' .. whole(first), now)
  end
  return now - first
end

-- There while a message is on its way to a worker that holds this key, and while such a worker has nothing to do.
local function hint_key(key_id) return 'nightly:hint' .. (key_id and ':' .. key_id or '') end
