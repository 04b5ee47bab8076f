-- Bulk jobs: one verb for a frozen list of dead letters. A job has the keys of a backfill (backfill.lua). Its chunks are
-- "<segment>:<number>" -> 500 ids of letters, one a line. Its hash has these fields, too:
--
--   verb                 replay | resolve | nothing_left | assign | snooze, with its note, owner or until (ms)
--   groups               the groups of its letters, one a line
--   seen                 value of nightly:bulk-jobs:starts before its list was made
--   segments             number of its segments: rows of one instance, or of rejected messages (no instance)
--   segment:<n>, at:<n>  "<first row>|<row after the last>|<instance>", and the next row to decide
--   foreseen, counted_at what it would do, counted before its start (JSON, bulk_preflight.lua), and when (ms)
--   starter, started_at  who started it, and when (ms)
--   rate                 most letters a second ('': no limit)
--   entry                number of the start in the audit log
--
-- nightly:bulk-jobs         all bulk jobs by creation time
-- nightly:bulk-jobs:starts  counts the jobs that were started
-- nightly:bulk-groups       hash: group -> "<number of the start> <id>" of the last job on it

local ROWS_IN_CHUNK = 500 -- as in worker/backfill/codec.py

local function segment_of(id, number)
  local text, at = unpack(redis.call('HMGET', backfill_key(id), 'segment:' .. number, 'at:' .. number))
  local first, last, instance = (text or ''):match('^(%d+)|(%d+)|(.*)$')
  if not first then return nil end
  return { number = number, first = tonumber(first), last = tonumber(last), instance = instance, at = tonumber(at) }
end

-- Whether a running job has letters left that can be decided now: `has_room` says so for the lane of an instance.
local function job_wants_feeding(id, has_room)
  local verb, segments = unpack(redis.call('HMGET', backfill_key(id), 'verb', 'segments'))
  for number = 0, number_or_zero(segments) - 1 do
    local segment = segment_of(id, number)
    if not (segment and segment.at) then return false end -- a person damaged it
    if segment.at < segment.last and (verb ~= 'replay' or segment.instance == '' or has_room(segment.instance)) then
      return true
    end
  end
  return false
end

-- Forget jobs that have expired.
local function tidy_jobs()
  for _, id in ipairs(redis.call('ZRANGE', 'nightly:bulk-jobs', 0, -1)) do
    if redis.call('EXISTS', backfill_key(id)) == 0 then redis.call('ZREM', 'nightly:bulk-jobs', id) end
  end
  local groups = redis.call('HGETALL', 'nightly:bulk-groups')
  for i = 1, #groups, 2 do
    if redis.call('EXISTS', backfill_key(groups[i + 1]:match('%S+$'))) == 0 then
      redis.call('HDEL', 'nightly:bulk-groups', groups[i])
    end
  end
end

-- Returns the ids of letters from row `at` on, none of them from a later chunk or beyond the segment.
local function letters_from(id, segment, at_most)
  local number, ids = math.floor((segment.at - segment.first) / ROWS_IN_CHUNK), {}
  local row = segment.first + number * ROWS_IN_CHUNK
  for letter_id in (redis.call('HGET', chunks_key(id), segment.number .. ':' .. number) or ''):gmatch('[^\n]+') do
    if #ids >= at_most then break end
    if row >= segment.at then ids[#ids + 1] = letter_id end
    row = row + 1
  end
  return ids
end
