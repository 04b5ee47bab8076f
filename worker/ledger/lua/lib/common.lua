-- What every script shares: the clock, the names of keys, the fields of a login, the ways back to "due".
-- It is put in front of each script when it is loaded; what only some of them need stands in files of its own, because
-- each run of a script makes all its functions anew.
--
-- Every event ends in the tally once: recorded + replayed =
--   applied_on + applied_off + superseded + duplicate + dead_lettered + (still waiting, or in flight).

-- The shape of what is stored. Raise it when code of today could misread what tomorrow's writes: workers of
-- both may run at once, and the older ones then stop at their next pulse and say so.
local SCHEMA = 6
local DAY = 86400000
local SILENT = 10000 -- a worker without a sign of life for longer than this, ms, is not counted on

-- A login is one hash, nightly:login:<reference>. Its fields have short names in Redis, as there are millions of logins,
-- and these words in the code (in Python: worker/ledger/login_fields.py).
local FIELD = {
  instance = 'i',
  sealed = 'v', -- loginId
  account_id = 'a',
  occurred_us = 't', -- of the newest wish, as the next three
  wish = 'w', -- 1: on, 0: off
  event_id = 'e',
  revision = 'r',
  state = 's', -- due | flight | done | dead
  lane = 'l', -- backfill | live; no such field: live
  is_counted = 'q', -- 1: the tally holds the event of this revision
  row = 'p', -- "<backfill id>:<row>" that waits for this revision, or is dead (backfill_rows.lua)
  failures = 'n', -- attempts charged
  first_failure = 'f', -- ms
  failures_while_down = 'd', -- charged failures in a row that said Flinks is down (outage.lua)
  held_before_failure = 'j', -- how long calls had been held at the first failure, less Retry-After since then, ms
  leases_lost = 'b', -- in a row
  rests_until = 'h', -- ms: an earlier call may still land
  refused_by = 'u', -- fingerprint whose call Flinks refused for this login, while it accepted others
  last_code = 'z', -- no such field after a confirmed call whose code was `applied`
  confirmed = 'C', -- the last confirmed call: "<revision>:<wish>:<time, ms>"
  letter = 'x', -- id of the open dead letter
  claim_number = 'k', -- grows and is no smaller than the time, so that a claim which a failover undid is never repeated
  claim = 'c', -- in flight: "<revision>:<wish>:<is_counted>:<rest after a lost lease, ms>:<owner>"
  reassert_after = 'm', -- in flight: assert the wish again, not before this time (ms): a late call may land until then
  lease_was_lost = 'g', -- 1: the last claim was lost, so a settlement of it comes too late
}
local WORD = {}
for word, name in pairs(FIELD) do WORD[name] = word end

local function clock(given)
  if given ~= '' then return tonumber(given) end
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

local function is_newer() return (tonumber(redis.call('HGET', 'nightly:meta', 'schema') or '0') or 0) > SCHEMA end
local function refuse_newer() return redis.error_reply('NEWERLEDGER it was written by a newer Nightly') end

local function whole(number) return string.format('%.0f', number) end

local function login_key(ref) return 'nightly:login:' .. ref end
local function attempts_key(ref) return 'nightly:attempts:' .. ref end
local function letter_key(id) return 'nightly:letter:' .. id end
local function due_key(instance, lane) return 'nightly:due:' .. instance .. ':' .. lane end
local function leases_key(instance) return 'nightly:leases:' .. instance end
local function rate_key(instance) return 'nightly:rate:' .. instance end
local function gate_key(instance) return 'nightly:gate:' .. instance end
local function configs_key(instance) return 'nightly:configs:' .. instance end
local function tally_key(instance) return 'nightly:tally:' .. instance end

local function later(a, b) if a > b then return a end return b end

-- All fields of a login: one pass over its hash. To ask for them by name takes a scan for each, and to the end of the
-- hash for those that lack, as most do.
local function read_login(ref)
  local flat, login = redis.call('HGETALL', login_key(ref)), {}
  for at = 1, #flat, 2 do login[WORD[flat[at]] or flat[at]] = flat[at + 1] end
  return login
end

-- The id of the key that sealed a value, in hex; nil where the value does not begin like one: with the byte
-- 1 and the four bytes of that id (worker/vault/vault.py).
local function key_id_of(sealed)
  if #sealed < 5 or string.byte(sealed) ~= 1 then return nil end
  return string.format('%02x%02x%02x%02x', string.byte(sealed, 2, 5))
end

-- Something that a person should hear of, once: the next pulse after `from` hands it to a worker.
local function give_notice(text, from) redis.call('ZADD', 'nightly:notices', 'NX', from, text) end
