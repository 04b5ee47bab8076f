-- Keep an event that cannot be accepted, for a person. The id comes from its content, so a second
-- delivery of the same bytes adds to `seen` instead of filling the list; the newest reason stands.
-- ARGV  now (ms or ''), letter id, group, then field, value, ...
-- Reply 1 when its group had no open letter before, else 0

local now = clock(ARGV[1])
local id, group = ARGV[2], ARGV[3]

redis.call('HINCRBY', 'nightly:tally', 'rejected', 1)
redis.call('HINCRBY', letter_key(id), 'seen', 1)
local fields = { 'last_at', whole(now) }
for i = 4, #ARGV do fields[#fields + 1] = ARGV[i] end
local filed_under = redis.call('HGET', letter_key(id), 'group')
if redis.call('ZSCORE', 'nightly:letters:open', id) then
  if filed_under == group then
    redis.call('HSET', letter_key(id), unpack(fields))
    return 0
  end
  redis.call('ZREM', 'nightly:group:' .. filed_under, id)
end
return open_letter(id, group, now, fields)
