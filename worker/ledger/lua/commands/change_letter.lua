-- Change a field of one open dead letter: its owner, its note, or until when it is snoozed.
-- ARGV  1 now (ms or ''), 2 letter id, 3 version of the letter that the person saw ('': any), 4 name of the person
--       5 action for the history, 6 text for the history
--       7 field: owner | snoozed_until | note, 8 its value (no owner: '', not snoozed: 0)
--       the last three: see lib/audit.lua
-- Reply head | missing | closed | changed (since that version) | done

local now, id, seen_version, by = clock(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]
local action, text, field, value = ARGV[5], ARGV[6], ARGV[7], ARGV[8]

if is_newer() then return refuse_newer() end
if not is_head_current() then return 'head' end
local key = letter_key(id)
local status, ref, version = unpack(redis.call('HMGET', key, 'status', 'login', 'version'))
if not status then return 'missing' end
if status ~= 'open' then return 'closed' end
if seen_version ~= '' and seen_version ~= version then return 'changed' end

append_audit({ id, ref or nil }, now)
if field == 'owner' then set_owner(id, value)
elseif field == 'snoozed_until' then set_snooze(id, tonumber(value))
else redis.call('HSET', key, field, value) end
raise_version(id)
if ref then remember_action(ref, id, action, by, text, HEAD_AFTER:match('^%d+'), now) end
return 'done'
