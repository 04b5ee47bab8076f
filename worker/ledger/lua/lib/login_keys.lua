-- The keys of LOGIN_KEYS: which live workers hold one, since when none does, and how many values were sealed with it.
--
-- Each worker lists the ids of its keys in nightly:workers, newest first.
-- nightly:missing-keys          hash: id of a key that no live worker holds -> "<first missed>:<last missed>", ms
-- nightly:missing-noticed:<id>  exists for an hour after a notice of that key
-- nightly:seals                 hash: id of a key -> values sealed with it, including those of redelivered messages

local MISSING_NOTICE_AFTER, MISSING_NOTICE_AGAIN, MISSING_FORGOTTEN = 60000, 3600000, 600000

-- Returns what a worker's heartbeat said about it; nil if a person damaged that.
local function read_about(text)
  local is_read, about = pcall(cjson.decode, text)
  if not is_read or type(about) ~= 'table' then return nil end
  return type(about.at) == 'number' and type(about.slots) == 'number' and about or nil
end

-- Returns the live workers by name, each with what its heartbeat said about it.
local function live_workers(now)
  local found, all = {}, redis.call('HGETALL', 'nightly:workers')
  for i = 1, #all, 2 do
    local about = read_about(all[i + 1])
    if about and now - about.at <= SILENT then found[all[i]] = about end
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

-- Note that no live worker holds a key; after a minute, give notice. Returns how long the key has been missing, ms.
local function note_missing(key_id, now)
  local first, last = (redis.call('HGET', 'nightly:missing-keys', key_id) or ''):match('^(%d+):(%d+)$')
  first = first and now - last <= MISSING_FORGOTTEN and math.min(first, now) or now
  redis.call('HSET', 'nightly:missing-keys', key_id, whole(first) .. ':' .. whole(now))
  redis.call('PEXPIRE', 'nightly:missing-keys', DAY)
  local noticed = 'nightly:missing-noticed:' .. key_id
  if now - first >= MISSING_NOTICE_AFTER
    and redis.call('SET', noticed, '1', 'NX', 'PX', MISSING_NOTICE_AGAIN) then
    give_notice('key|' .. key_id .. '|' .. whole(first), now)
  end
  return now - first
end

-- Exists while a message is on its way to a worker that holds this key, and while such a worker has nothing to do.
local function hint_key(key_id) return 'nightly:hint' .. (key_id and ':' .. key_id or '') end

-- Nonces are random. AES-GCM with random nonces is safe for 2^32 seals with one key (NIST SP 800-38D, 8.3); a notice
-- warns long before.
local SEALS_NOTICED = 2 ^ 30 -- as SEALS_WARN in worker/operations/secrecy_checks.py

-- Count values that one process sealed under its newest key; '' is no seal.
local function count_seals(sealed_values, now)
  local last, seals = '', 0
  for _, sealed in ipairs(sealed_values) do
    if sealed ~= '' then last, seals = sealed, seals + 1 end
  end
  local key_id = key_id_of(last)
  if not key_id then return end
  local total = increase('nightly:seals', key_id, seals)
  if total >= SEALS_NOTICED and total - seals < SEALS_NOTICED then
    give_notice('seals|' .. key_id .. '|' .. whole(total), now)
  end
end
