-- Deletes, once an hour, entries of lists whose keys have expired, and what nothing uses any more.

local tidy

do -- Private to this file: a chunk of Lua holds at most 200 local variables.

local TIDY_AGAIN = 3600000
local UNUSED_CONFIG_KEPT = 30 * DAY

local function tidy_backfills()
  for _, id in ipairs(redis.call('ZRANGE', 'nightly:backfills', 0, -1)) do
    if redis.call('EXISTS', backfill_key(id)) == 0 then redis.call('ZREM', 'nightly:backfills', id) end
  end
  local digests = redis.call('HGETALL', 'nightly:backfill-digests')
  for i = 1, #digests, 2 do
    if redis.call('EXISTS', backfill_key(digests[i + 1])) == 0 then
      redis.call('HDEL', 'nightly:backfill-digests', digests[i])
    end
  end
end

-- Forget configurations that no worker has used for a month: one that comes back tries one call, like a new one.
local function tidy_configs(instance, now)
  local key, used_at = configs_key(instance), {}
  for _, field in ipairs(redis.call('HKEYS', key)) do
    local fingerprint = field:match('^[^:]+')
    if not used_at[fingerprint] then
      redis.call('HSETNX', key, used_field(fingerprint), whole(now))
      used_at[fingerprint] = tonumber(redis.call('HGET', key, used_field(fingerprint))) or now
    end
    if used_at[fingerprint] < now - UNUSED_CONFIG_KEPT then redis.call('HDEL', key, field) end
  end
end

function tidy(now)
  if not redis.call('SET', 'nightly:tidied', '1', 'NX', 'PX', TIDY_AGAIN) then return end
  redis.call('ZREMRANGEBYSCORE', 'nightly:letters:closed', '-inf', now - CLOSED_LETTER_KEPT)
  tidy_backfills()
  tidy_jobs()
  for _, instance in ipairs(redis.call('SMEMBERS', 'nightly:instances')) do tidy_configs(instance, now) end
end

end
