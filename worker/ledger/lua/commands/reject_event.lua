-- Keep messages that cannot be accepted, for a person. The id comes from the content, so a second delivery of the same
-- bytes adds to `seen` instead of filling the list; the newest reason stands. Beyond the limits a message is only
-- counted, and a person is notified at most once an hour: a producer gone mad leaves room for events.
-- ARGV  now (ms or ''), most messages, most bytes, then for each message:
--       letter id, code, reason, source, size (bytes), sealed body ('': it stays elsewhere), event id ('': not
--       known), 1 if the limits do not count
-- Reply for each: first (open letter of its group) | kept | unkept

local now = clock(ARGV[1])
local most_messages, most_bytes = tonumber(ARGV[2]), tonumber(ARGV[3])
local FIELDS = 8
local NOTICE_AGAIN = 3600000

local function has_room(size)
  local messages, bytes = unpack(redis.call('HMGET', MESSAGES_KEPT, 'messages', 'bytes'))
  return tonumber(messages or '0') < most_messages and tonumber(bytes or '0') + size <= most_bytes
end

local function leave_out()
  local total = redis.call('HINCRBY', 'nightly:tally', 'rejected_unkept', 1)
  if redis.call('SET', 'nightly:unkept-noticed', '1', 'NX', 'PX', NOTICE_AGAIN) then
    give_notice('unkept|' .. total, now)
  end
  return 'unkept'
end

local function park(id, code, reason, source, size, sealed, event_id, must_keep)
  redis.call('HINCRBY', 'nightly:tally', 'rejected', 1)
  local is_open = redis.call('ZSCORE', 'nightly:letters:open', id)
  if not is_open and must_keep ~= '1' and not has_room(tonumber(size)) then return leave_out() end
  local group = '|' .. code .. '|'
  local fields = {
    'kind', 'message', 'code', code, 'instance', '', 'reason', reason, 'source', source, 'body_bytes', size,
    'last_at', whole(now), 'event_id', event_id,
  }
  redis.call('HINCRBY', letter_key(id), 'seen', 1)
  if is_open then
    local filed_under = redis.call('HGET', letter_key(id), 'group')
    if filed_under == group then
      redis.call('HSET', letter_key(id), unpack(fields))
      return 'kept'
    end
    leave_group(id, filed_under)
  else
    keep_body(id, size, sealed)
  end
  return open_letter(id, group, now, fields) == 1 and 'first' or 'kept'
end

count_seals(ARGV, 9, FIELDS, now)
local replies = {}
for at = 4, #ARGV, FIELDS do replies[#replies + 1] = park(unpack(ARGV, at, at + FIELDS - 1)) end
return replies
