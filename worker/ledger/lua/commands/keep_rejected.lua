-- Keep messages that cannot be accepted, for review. The letter's id comes from the content, so a second delivery of
-- the same bytes raises `seen` instead of adding a letter, and its reason replaces the earlier one. Beyond the limits a
-- message is only counted, with a notice at most once an hour: a faulty producer cannot fill the memory of events.
-- ARGV  1 now (ms or ''), 2 limit of messages, 3 limit of bytes
--       4 and on, for each message: letter id, code, reason, source, size (bytes), sealed body ('': kept elsewhere),
--         event id, CloudEvents source and account id ('': not known), 1 to keep it beyond the limits
-- Reply for each: first (open letter of its group) | kept | unkept

local FIRST_MESSAGE, FIELDS = 4, 10
local NOTICE_AGAIN = 3600000

-- Returns the messages, and their sealed bodies.
local function read_messages()
  local messages, sealed_values = {}, {}
  for at = FIRST_MESSAGE, #ARGV, FIELDS do
    local id, code, reason, source, size, sealed, event_id, event_source, account_id, must_keep =
      unpack(ARGV, at, at + FIELDS - 1)
    messages[#messages + 1] = {
      id = id, code = code, reason = reason, source = source, size = size, sealed = sealed, event_id = event_id,
      event_source = event_source, account_id = account_id, must_keep = must_keep == '1',
    }
    sealed_values[#sealed_values + 1] = sealed
  end
  return messages, sealed_values
end

local now, most_messages, most_bytes = clock(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local messages, sealed_values = read_messages()

local function has_room(size)
  local kept, bytes = unpack(redis.call('HMGET', MESSAGES_KEPT, 'messages', 'bytes'))
  return number_or_zero(kept) < most_messages and number_or_zero(bytes) + size <= most_bytes
end

local function leave_out()
  local total = increase('nightly:tally', 'rejected_unkept', 1)
  if redis.call('SET', 'nightly:unkept-noticed', '1', 'NX', 'PX', NOTICE_AGAIN) then
    give_notice('unkept|' .. total, now)
  end
  return 'unkept'
end

local function keep(message)
  increase('nightly:tally', 'rejected', 1)
  local is_open = redis.call('ZSCORE', 'nightly:letters:open', message.id)
  if not is_open and not message.must_keep and not has_room(tonumber(message.size)) then return leave_out() end
  local key, group = letter_key(message.id), '|' .. message.code .. '|'
  local fields = {
    'kind', 'message', 'code', message.code, 'instance', '', 'reason', message.reason, 'source', message.source,
    'body_bytes', message.size, 'last_at', whole(now), 'event_id', message.event_id,
    'event_source', message.event_source, 'account_id', message.account_id,
  }
  increase(key, 'seen', 1)
  if is_open then
    local filed_under, reason = unpack(redis.call('HMGET', key, 'group', 'reason'))
    if filed_under == group then
      if reason ~= message.reason then raise_version(message.id) end
      redis.call('HSET', key, unpack(fields))
      return 'kept'
    end
    if filed_under then leave_group(message.id, filed_under) end -- else a person damaged the letter
  else
    keep_body(message.id, message.size, message.sealed)
  end
  return open_letter(message.id, group, now, fields) == 1 and 'first' or 'kept'
end

count_seals(sealed_values, now)
local replies = {}
for i, message in ipairs(messages) do replies[i] = keep(message) end
return replies
