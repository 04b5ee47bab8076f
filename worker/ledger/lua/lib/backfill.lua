-- Keys of backfills, how long they are kept, and when a backfill has ended.
--
-- nightly:backfill:<id>         hash: its terms, status, rows, fed (the next row to feed), ended, and a count for each
--                               outcome; code:<text> is the number of a code in its rows
-- nightly:backfills             all backfills by creation time
-- nightly:backfills:running     those that are loaded and have not ended
-- nightly:backfill-digests      hash: digest of content, wish and instance -> id
-- nightly:backfill:<id>:chunks  hash: number of a chunk -> its rows, sealed
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
