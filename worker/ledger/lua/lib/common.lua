-- What every script shares: the clock, the schema, names of keys, fields of a login, notices, writes in batches.
-- It is the beginning of each script (worker/ledger/scripts.py). Functions that only some scripts need are in other
-- files, because each run of a script creates all of its functions again.
--
-- Every event ends in the tally once: recorded + replayed =
--   applied_on + applied_off + superseded + duplicate + dead_lettered + (still waiting, or in flight).

-- Version of the stored data. Raise it if the present code could misread what the new code writes: workers of both may
-- run at once, and the older ones then stop at their next pulse with an error.
local SCHEMA = 8
local DAY = 86400000
local SILENT = 10000 -- ms: a worker without a heartbeat for longer than this does not count as live

-- A login is one hash, nightly:login:<reference>. Its fields have short names in Redis, as there are millions of
-- logins, and these words in the code (in Python: worker/ledger/login_fields.py).
local FIELD = {
  sealed = 'v', -- loginId
  account_id = 'a',
  newest = 'w', -- the newest wish: "<revision>:<1: on, 0: off>:<occurred_us>:<instance>"
  event_id = 'e', -- of the newest wish
  state = 's', -- due | flight | done | dead
  lane = 'l', -- backfill | live; no such field: live
  is_counted = 'q', -- 1: it waits, and the tally holds the event of this revision already
  row = 'p', -- "<backfill or job id>:<row>" that waits for this revision, or is dead; one or two (backfill.lua)
  failures = 'n', -- attempts charged
  first_failure = 'f', -- ms
  failures_while_down = 'd', -- charged failures in a row that said Flinks is down (outage.lua)
  held_before_failure = 'j', -- how long calls had been held at the first failure, less Retry-After since then, ms
  leases_lost = 'b', -- in a row
  rests_until = 'h', -- ms: an earlier call may still land
  refused_by = 'u', -- fingerprint of the configuration that Flinks refused for this login and accepted for others
  last_code = 'z', -- no such field after a confirmed call whose code was `applied`
  confirmed = 'C', -- the last confirmed call: "<revision>:<wish>:<time, ms>"
  letter = 'x', -- id of the open dead letter
  -- Number of the last claim. It grows, and is at least the time in ms: after a failover no lost number is used again.
  -- In flight, ":<revision>:<wish>:<is_counted>:<rest after a lost lease, ms>:<h: healthy, or ->:<owner>" follows.
  -- Healthy: the login had none of the fields of a troubled one when it was claimed, and nobody has changed it since.
  claim = 'k',
  reassert_after = 'm', -- in flight: assert the wish again after this time (ms): a late call may land until then
  lease_was_lost = 'g', -- 1: the lease of the last claim was lost, so its settlement comes too late
}
local WORD = {}
for word, name in pairs(FIELD) do WORD[name] = word end

-- What scripts calculate with, or name a key by. A value that does not match, because a person damaged it, is read as
-- if the field were missing, until the next wish deletes it: an error would stop the script for all other logins, too.
local NUMBER = '^%-?%d+$'
local SHAPE = {
  [FIELD.claim] = '^%d+', [FIELD.is_counted] = '^[01]$',
  [FIELD.lane] = '^[bl][ai][cv][ke]f?i?l?l?$', -- backfill | live
  [FIELD.failures] = NUMBER, [FIELD.first_failure] = NUMBER, [FIELD.held_before_failure] = NUMBER,
  [FIELD.leases_lost] = NUMBER, [FIELD.rests_until] = NUMBER, [FIELD.reassert_after] = NUMBER,
}

local function clock(given)
  if given ~= '' then return tonumber(given) end
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- Return a number that is stored as text, if it is there and no person damaged it.
local function number_or_nil(text) return tonumber(text or '') end
local function number_or_zero(text) return number_or_nil(text) or 0 end

local function is_newer() return number_or_zero(redis.call('HGET', 'nightly:meta', 'schema')) > SCHEMA end
local function refuse_newer() return redis.error_reply('NEWERLEDGER it was written by a newer Nightly') end

local function whole(number) return string.format('%.0f', number) end

local function login_key(ref) return 'nightly:login:' .. ref end
local function history_key(ref) return 'nightly:history:' .. ref end
local function letter_key(id) return 'nightly:letter:' .. id end
local function due_key(instance, lane) return 'nightly:due:' .. instance .. ':' .. lane end
local function wake_key(instance) return 'nightly:wake:' .. instance end
local function leases_key(instance) return 'nightly:leases:' .. instance end
local function rate_key(instance) return 'nightly:rate:' .. instance end
local function gate_key(instance) return 'nightly:gate:' .. instance end
local function configs_key(instance) return 'nightly:configs:' .. instance end
local function tally_key(instance) return 'nightly:tally:' .. instance end

-- Store a notice for a person, once: the first heartbeat after `from` hands it to a worker
-- (worker/operations/alerts.py).
local function give_notice(text, from) redis.call('ZADD', 'nightly:notices', 'NX', from, text) end

-- Run a command. If its key has another type, because a person overwrote it, the key is deleted first: it would stop
-- every script that meets it, for all other logins, too.
local function run(command, key, ...)
  local reply = redis.pcall(command, key, ...)
  if type(reply) ~= 'table' or not reply.err then return reply end
  if reply.err:find('WRONGTYPE', 1, true) then
    redis.call('DEL', key)
    give_notice('overwritten|' .. key, 0)
  end
  return redis.call(command, key, ...)
end

-- Add to a counter of a hash, and return its new value. One that is no number, because a person damaged it, begins anew.
local function increase(key, field, by)
  local reply = redis.pcall('HINCRBY', key, field, by)
  if type(reply) == 'number' then return reply end
  if not reply.err:find('hash value is not', 1, true) and not reply.err:find('overflow', 1, true) then
    return redis.call('HINCRBY', key, field, by)
  end
  redis.call('HSET', key, field, by)
  return by
end

-- Returns what FIELD.newest holds: one field, as each costs more to write and to read than a longer text.
local function newest_text(revision, wish, occurred_us, instance)
  return revision .. ':' .. wish .. ':' .. occurred_us .. ':' .. instance
end

-- Returns revision and wish, as text; nil if a person damaged the login.
local function revision_and_wish(newest) return newest:match('^(%d+):([01]):%-?%d+:') end

local function occurred_us_of(newest) return newest:match('^%d+:[01]:(-?%d+):') end

-- Returns a claim without the mark of health: whoever changes a login in flight stores this. A successful call of a
-- healthy login is settled by its claim alone (settle.lua).
local function not_healthy(claim) return ((claim or ''):gsub(':h:', ':-:', 1)) end

local IS_STATE = { due = true, flight = true, done = true, dead = true }

-- Returns all fields of a login, by one HGETALL: HMGET would scan the hash once for each name, to its end where the
-- field is missing, as most are. With them come revision and wish, and the names of damaged fields (damaged).
local function read_login(ref)
  local flat, login = redis.pcall('HGETALL', login_key(ref)), {}
  if flat.err then flat = run('HGETALL', login_key(ref)) end -- not at once: a call more, for each login
  for at = 1, #flat, 2 do
    local name, value = flat[at], flat[at + 1]
    local shape = SHAPE[name]
    if not shape or value:find(shape) then
      login[WORD[name] or name] = value
    else
      login.damaged = login.damaged or {}
      login.damaged[#login.damaged + 1] = name
    end
  end
  if login.newest then login.revision, login.wish = revision_and_wish(login.newest) end
  return login
end

-- Returns the id of the key that sealed a value, in hex. A sealed value begins with the byte 1 and the four bytes of
-- that id (worker/vault/vault.py); for any other value, returns nil.
local function key_id_of(sealed)
  if #sealed < 5 or string.byte(sealed) ~= 1 then return nil end
  return string.format('%02x%02x%02x%02x', string.byte(sealed, 2, 5))
end

-- Gathers what a script changes in sorted sets and in the tally, for all its logins, and writes it with one command a
-- key.

local tallies, moves = {}, {}
local first_due = {} -- instance -> when the first of its logins that this script made due is due
local also_gathered = {} -- functions that write what other files gather
local PIECE = 1000 -- arguments of one command; unpack fails with some thousands

local function count(instance, name)
  local tally = tallies[instance]
  if not tally then tally = {} tallies[instance] = tally end
  tally[name] = (tally[name] or 0) + 1
end

-- Put a login into a sorted set, or take it out (score false): the last of several moves counts.
local function move(key, ref, score)
  local set = moves[key]
  if not set then set = {} moves[key] = set end
  set[ref] = score
end
local function put(key, score, ref) move(key, ref, score) end
local function take(key, ref) move(key, ref, false) end

-- Returns the score of a login in a sorted set as this script leaves it; nil if it is not in the set.
local function place_of(key, ref)
  local score = moves[key] and moves[key][ref]
  if score == nil then score = redis.call('ZSCORE', key, ref) end
  return score and tonumber(score) or nil
end

-- Make a login due in its lane at `due_at`, or later, when its rest ends.
local function put_due(ref, instance, lane, due_at, rests_until)
  if due_at < rests_until then due_at = rests_until end
  put(due_key(instance, lane), due_at, ref)
  if due_at < (first_due[instance] or math.huge) then first_due[instance] = due_at end
end

-- Wake a reconciler that waits for logins of an instance. The list holds one entry at most; it stays until a reconciler
-- waits.
local function wake(instance)
  if redis.call('EXISTS', wake_key(instance)) == 0 then redis.call('LPUSH', wake_key(instance), '1') end
end

local function in_pieces(command, key, args)
  for i = 1, #args, PIECE do redis.call(command, key, unpack(args, i, math.min(i + PIECE - 1, #args))) end
end

local function write_gathered()
  local texts = {} -- of scores, most of which are equal: formatting a number is slow
  for key, set in pairs(moves) do
    local taken, placed = {}, {}
    for ref, score in pairs(set) do
      if score then
        texts[score] = texts[score] or whole(score)
        placed[#placed + 1] = texts[score]
        placed[#placed + 1] = ref
      else
        taken[#taken + 1] = ref
      end
    end
    in_pieces('ZREM', key, taken)
    in_pieces('ZADD', key, placed)
  end
  for instance, tally in pairs(tallies) do
    for name, times in pairs(tally) do increase(tally_key(instance), name, times) end
  end
  for instance, at in pairs(first_due) do
    if at <= clock(ARGV[1]) then wake(instance) end
  end
  moves, tallies, first_due = {}, {}, {}
  for _, write in ipairs(also_gathered) do write() end
end

-- Run `work`, and write what it gathered, even if Redis refused a command midway: a login whose hash says "due" and
-- that is in no lane would wait forever.
local function gathering(work)
  local is_done, result = pcall(work)
  write_gathered()
  if not is_done then error(result, 0) end
  return result
end
