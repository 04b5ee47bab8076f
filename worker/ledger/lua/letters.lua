-- How a dead letter is filed, and closed.

-- Close a letter; it stays readable for 90 days.
local function close_letter(id, status, now)
  local key = letter_key(id)
  local group = redis.call('HGET', key, 'group')
  if not group then return end
  redis.call('HSET', key, 'status', status, 'closed_at', whole(now))
  redis.call('PEXPIRE', key, 90 * DAY)
  redis.call('ZREM', 'nightly:letters:open', id)
  redis.call('ZREM', 'nightly:group:' .. group, id)
  redis.call('ZADD', 'nightly:letters:closed', now, id)
  redis.call('ZREMRANGEBYSCORE', 'nightly:letters:closed', '-inf', now - 90 * DAY)
end

-- File a letter under its group. Returns 1 when the group had no open letter before.
local function open_letter(id, group, now, fields)
  local key = letter_key(id)
  redis.call('HSET', key, 'id', id, 'group', group, 'status', 'open', 'created_at', whole(now), unpack(fields))
  redis.call('PERSIST', key)
  redis.call('ZREM', 'nightly:letters:closed', id)
  redis.call('ZADD', 'nightly:letters:open', now, id)
  redis.call('SADD', 'nightly:groups', group)
  local is_new = redis.call('ZCARD', 'nightly:group:' .. group) == 0
  redis.call('ZADD', 'nightly:group:' .. group, now, id)
  return is_new and 1 or 0
end
