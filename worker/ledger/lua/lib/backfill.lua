-- Keys of backfills, how long they are kept, when a backfill has ended, and the outcomes of its rows. A bulk job is kept
-- as a backfill whose rows are dead letters (bulk.lua).
--
-- nightly:backfill:<id>         hash: its terms, status, rows, fed (the next row to feed), ended, and a count for each
--                               outcome; code:<text> is the number of a code in its rows
-- nightly:backfills             all backfills by creation time
-- nightly:backfills:running     those that are loaded and have not ended, and such bulk jobs
-- nightly:backfill-digests      hash: digest of content, wish and instance -> id
-- nightly:backfill:<id>:chunks  hash: number of a chunk -> its rows, sealed; of a bulk job: ids of letters, one a line
-- nightly:backfill:<id>:rows    six bytes a row: letter of its outcome (0: it waits), number of its code, time (s, big
--                               endian)

local KEPT = 30 * DAY

local function backfill_key(id) return 'nightly:backfill:' .. id end
local function chunks_key(id) return 'nightly:backfill:' .. id .. ':chunks' end
local function rows_key(id) return 'nightly:backfill:' .. id .. ':rows' end

local function keep_for(id, life)
  for _, key in ipairs({ backfill_key(id), chunks_key(id), rows_key(id) }) do
    if life then redis.call('PEXPIRE', key, life) else redis.call('PERSIST', key) end
  end
end

-- End a backfill whose last row has ended; a cancelled backfill ends with the last row that was fed.
local function end_if_done(id, now)
  local status, rows, fed, ended, ended_at = unpack(redis.call('HMGET', backfill_key(id),
    'status', 'rows', 'fed', 'ended', 'ended_at'))
  if ended ~= fed or ended_at then return end
  if status ~= 'cancelled' and (status == 'loading' or fed ~= rows) then return end
  redis.call('HSET', backfill_key(id), 'ended_at', whole(now))
  if status ~= 'cancelled' then redis.call('HSET', backfill_key(id), 'status', 'finished') end
  redis.call('SREM', 'nightly:backfills:running', id)
  keep_for(id, KEPT)
end

-- Stores the outcomes of backfill rows, in the script that causes them, so that no crash separates the two.
--
-- A login whose wish a row waits for names that row in FIELD.row, "<id>:<row>". The field is deleted when the row ends,
-- except with `dead`: a replay makes that row wait again. A login that a bulk job replayed may name two rows, that of
-- its backfill first, with a space between. A dead row of a bulk job never waits again: each letter is decided once.
local LETTERS = {
  applied = 'a', already = 'y', superseded = 's', duplicate = 'd', invalid = 'i', dead = 'x',
  closed = 'c', resolved = 'r', assigned = 'g', snoozed = 'z', accepted = 'k', failed = 'f', not_applicable = 'n',
}
local JOB = '^job%-'
local WAITS = string.rep('\0', 6)
local MOST_CODES = 254
local ends = {} -- for each backfill: rows that ended in this script, by outcome; false if the backfill is deleted
local ended_at = nil -- the time of that

local function ends_of(id)
  if ends[id] == nil then ends[id] = redis.call('TYPE', backfill_key(id)).ok == 'hash' and {} end
  return ends[id]
end

local function number_of(id, code)
  if code == '' then return 0 end
  local key, field = backfill_key(id), 'code:' .. code
  local number = redis.call('HGET', key, field)
  if number then return number_or_zero(number) end
  number = math.min(increase(key, 'codes', 1), MOST_CODES)
  redis.call('HSET', key, field, number)
  return number
end

local function letter_of(id, row) return redis.call('GETRANGE', rows_key(id), 6 * row, 6 * row) end

local function count_end(id, outcome, change, now)
  ends[id][outcome] = (ends[id][outcome] or 0) + change
  ended_at = now
end

-- End a row. A row that has ended does not change.
local function end_row(id, row, outcome, code, now)
  if not ends_of(id) then return end
  local letter = letter_of(id, row)
  if letter ~= '' and letter ~= '\0' then return end
  local bytes = struct.pack('>BBI4', LETTERS[outcome]:byte(), number_of(id, code), math.floor(now / 1000))
  redis.call('SETRANGE', rows_key(id), 6 * row, bytes)
  count_end(id, outcome, 1, now)
end

local function name_of(id, row) return id .. ':' .. row end

-- Whether a login's FIELD.row names a row of this backfill.
local function names_row_of(names, id) return (' ' .. names):find(' ' .. id .. ':', 1, true) ~= nil end

-- End the rows that a login's FIELD.row names.
local function end_row_of(names, outcome, code, now)
  for id, row in names:gmatch('([^ ]+):(%d+)') do end_row(id, tonumber(row), outcome, code, now) end
end

-- Make the dead row of a backfill wait again, because its letter was replayed; its backfill may have ended.
local function let_row_wait(names, now)
  local id, row = names:match('^([^ ]+):(%d+)')
  if not id or id:find(JOB) or not ends_of(id) or letter_of(id, row) ~= 'x' then return end
  redis.call('SETRANGE', rows_key(id), 6 * row, WAITS)
  count_end(id, 'dead', -1, now)
  if redis.call('HDEL', backfill_key(id), 'ended_at') == 0 then return end
  if redis.call('HGET', backfill_key(id), 'status') == 'finished' then
    redis.call('HSET', backfill_key(id), 'status', 'running')
  end
  redis.call('SADD', 'nightly:backfills:running', id)
  keep_for(id, nil)
end

also_gathered[#also_gathered + 1] = function()
  for id, by_outcome in pairs(ends) do
    if by_outcome and next(by_outcome) then
      local all = 0
      for outcome, times in pairs(by_outcome) do
        increase(backfill_key(id), outcome, times)
        all = all + times
      end
      increase(backfill_key(id), 'ended', all)
      end_if_done(id, ended_at)
    end
  end
  ends = {}
end
