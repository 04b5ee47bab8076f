-- Opens and closes dead letters.
--
-- nightly:kept              hash: number of messages in open letters, and the bytes of their bodies
-- nightly:letter-body:<id>  sealed body of the message of an open letter
-- nightly:letters:snoozed   sorted set: open letters that were put off, by their time of filing
-- nightly:filed:<reference>  list: ids of the last letters of a login, until 90 days after one was closed
-- nightly:owned:<owner>     sorted set: open letters of one owner, by their time of filing
-- nightly:group-state:<instance|code|wish>  hash: what people said of a group: owner, by and at (ms) of the last change,
--     and state: acknowledged (until the group has more letters than `count`) | muted (until `until`, ms)

local MESSAGES_KEPT = 'nightly:kept'
local CLOSED_LETTER_KEPT = 90 * DAY

local function body_key(id) return 'nightly:letter-body:' .. id end

local function keep_body(id, size, sealed)
  increase(MESSAGES_KEPT, 'messages', 1)
  increase(MESSAGES_KEPT, 'bytes', size)
  redis.call('HSET', letter_key(id), 'kept_bytes', size)
  if sealed ~= '' then redis.call('SET', body_key(id), sealed) end
end

local function drop_body(id, size)
  increase(MESSAGES_KEPT, 'messages', -1)
  increase(MESSAGES_KEPT, 'bytes', -size)
  redis.call('HDEL', letter_key(id), 'kept_bytes')
  redis.call('DEL', body_key(id))
end

local GROUP_STATE_KEPT = 90 * DAY -- after its last letter; no mute is longer

local function group_state_key(group) return 'nightly:group-state:' .. group end

local function is_muted(group, now)
  local state, until_ms = unpack(redis.pcall('HMGET', group_state_key(group), 'state', 'until')) -- none if not a hash
  return state == 'muted' and now < (tonumber(until_ms) or 0)
end

-- Take a letter out of its group. A group without open letters is deleted. Its next letter is news again, unless the
-- group is muted; its owner is kept for a while.
local function leave_group(id, group)
  run('ZREM', 'nightly:group:' .. group, id)
  if redis.call('EXISTS', 'nightly:group:' .. group) == 1 then return end
  redis.call('SREM', 'nightly:groups', group)
  local key = group_state_key(group)
  if redis.pcall('HGET', key, 'state') == 'acknowledged' then redis.call('HDEL', key, 'state', 'count') end
  redis.call('PEXPIRE', key, GROUP_STATE_KEPT)
end

-- A person's action names the version of the letter that the person saw, and is refused if the letter changed since.
local function raise_version(id) increase(letter_key(id), 'version', 1) end

local function filed_key(ref) return 'nightly:filed:' .. ref end

-- Remember the last 20 letters of a login: closed ones are in no other list of it.
local function remember_letter(ref, id)
  redis.call('RPUSH', filed_key(ref), id)
  redis.call('LTRIM', filed_key(ref), -20, -1)
  redis.call('PERSIST', filed_key(ref))
end

local function owned_key(owner) return 'nightly:owned:' .. owner end

-- Give an open letter an owner; '' takes it from its owner.
local function set_owner(id, owner)
  local key = letter_key(id)
  local before, created_at = unpack(redis.call('HMGET', key, 'owner', 'created_at'))
  if before then redis.call('ZREM', owned_key(before), id) end
  if owner == '' then
    redis.call('HDEL', key, 'owner')
  else
    redis.call('HSET', key, 'owner', owner)
    redis.call('ZADD', owned_key(owner), created_at, id)
  end
end

-- Hide an open letter from the list of open ones until a time (ms); 0 shows it again.
local function set_snooze(id, until_ms)
  local key = letter_key(id)
  if until_ms > 0 then
    redis.call('HSET', key, 'snoozed_until', whole(until_ms))
    redis.call('ZADD', 'nightly:letters:snoozed', redis.call('HGET', key, 'created_at'), id)
  else
    redis.call('HDEL', key, 'snoozed_until')
    redis.call('ZREM', 'nightly:letters:snoozed', id)
  end
end

local function leave_lists_of_open(id, owner)
  redis.call('ZREM', 'nightly:letters:open', id)
  redis.call('ZREM', 'nightly:letters:snoozed', id)
  if owner then redis.call('ZREM', owned_key(owner), id) end
end

-- Close a letter. It is kept for 90 days, its login's history for 30, and a message's body is deleted at once.
-- More fields of it may follow.
local function close_letter(id, status, now, ...)
  local key = letter_key(id)
  local group, login, kept_bytes, owner = unpack(redis.pcall('HMGET', key, 'group', 'login', 'kept_bytes', 'owner'))
  if not group then return end -- a person deleted or damaged it
  if kept_bytes then drop_body(id, kept_bytes) end
  redis.call('HSET', key, 'status', status, 'closed_at', whole(now), ...)
  raise_version(id)
  redis.call('PEXPIRE', key, CLOSED_LETTER_KEPT)
  leave_lists_of_open(id, owner)
  leave_group(id, group)
  redis.call('ZADD', 'nightly:letters:closed', now, id)
  if login then
    redis.call('PEXPIRE', history_key(login), 30 * DAY)
    redis.call('PEXPIRE', filed_key(login), CLOSED_LETTER_KEPT)
  end
end

-- Open a letter in its group, perhaps not for the first time. Returns 1 if a person should be told: it is the only open
-- letter of its group, and the group is not muted.
local function open_letter(id, group, now, fields)
  local key = letter_key(id)
  redis.call('HSET', key, 'id', id, 'group', group, 'status', 'open', 'created_at', whole(now), unpack(fields))
  redis.call('HDEL', key, 'closed_at', 'closed_by', 'superseded_by', 'corrected_to')
  set_snooze(id, 0)
  set_owner(id, redis.call('HGET', key, 'owner') or '')
  raise_version(id)
  redis.call('PERSIST', key)
  redis.call('ZREM', 'nightly:letters:closed', id)
  redis.call('ZADD', 'nightly:letters:open', now, id)
  redis.call('SADD', 'nightly:groups', group)
  local is_new = run('ZCARD', 'nightly:group:' .. group) == 0
  redis.call('ZADD', 'nightly:group:' .. group, now, id)
  if not is_new then return 0 end
  redis.call('PERSIST', group_state_key(group))
  return is_muted(group, now) and 0 or 1
end
