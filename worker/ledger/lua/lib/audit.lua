-- Writes the entries of the audit log. An entry is written by the script that makes the change which it records, so
-- that there is never one without the other.
--
-- nightly:audit             list: the JSON text of each entry, oldest first, never trimmed (worker/ledger/audit.py)
-- nightly:audit-head        "<number of the last entry> <SHA-256 of its text, in hex>"
-- nightly:audited:<target>  list: the numbers of the last entries about a letter, a login or another target
--
-- Python writes an entry, with the hash of the one before it, and reads the head for that first. The last three
-- arguments of each script that a person runs are: head before ('' if there is no entry yet), head after, entry.
-- Such a script begins with
--   if not is_head_current() then return 'head' end
-- and Python tries again with the new head. That comes before any other check: a script that runs again, because the
-- connection lost its reply, must find its own entry, not the change that it made itself. Once nothing can stop the
-- change, the script calls append_audit.

local AUDIT, AUDIT_HEAD = 'nightly:audit', 'nightly:audit-head'
local HEAD_BEFORE, HEAD_AFTER, ENTRY = unpack(ARGV, #ARGV - 2)
local NUMBERS_OF_TARGET, TARGET_KEPT = 1000, 90 * DAY

local function is_head_current() return (redis.call('GET', AUDIT_HEAD) or '') == HEAD_BEFORE end

local function audited_key(target) return 'nightly:audited:' .. target end

-- The entry is about each of `targets`. A worker logs the new head (worker/operations/alerts.py). One notice is enough,
-- as a head vouches for all entries before it.
local function append_audit(targets, now)
  redis.call('RPUSH', AUDIT, ENTRY)
  redis.call('SET', AUDIT_HEAD, HEAD_AFTER)
  for _, target in ipairs(targets) do
    redis.call('RPUSH', audited_key(target), HEAD_AFTER:match('^%d+'))
    redis.call('LTRIM', audited_key(target), -NUMBERS_OF_TARGET, -1)
    redis.call('PEXPIRE', audited_key(target), TARGET_KEPT)
  end
  redis.call('ZREM', 'nightly:notices', 'audit|' .. HEAD_BEFORE)
  give_notice('audit|' .. HEAD_AFTER, now)
end
