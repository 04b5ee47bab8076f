-- Moves items of Celery's lists into a stream and hands them to one reader of its group: both or neither, so that
-- a reader which dies has them pending, and not in its memory alone.
-- KEYS  stream, then lists, in the order in which they are emptied; kombu takes from the right
-- ARGV  group, reader, how many, how many bytes
-- Reply that of XREADGROUP, or nil
--
-- An item is deleted after it was added to the stream, so whatever ends the script between the two costs a double, never
-- an item. A full Redis lets a script finish that has begun to write, as reading for a group is: else no worker could
-- empty it.

local group, reader, at_most, room = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

local function read()
  return redis.call('XREADGROUP', 'GROUP', group, reader, 'COUNT', at_most, 'STREAMS', KEYS[1], '>')
end

local unread = read() -- moved for a group that was deleted then
if unread then return unread end

local moved = 0
for i = 2, #KEYS do
  while moved < at_most and room > 0 do
    local item = redis.call('LINDEX', KEYS[i], -1)
    if not item then break end
    redis.call('XADD', KEYS[1], '*', 'message', item)
    redis.call('RPOP', KEYS[i])
    moved, room = moved + 1, room - #item
  end
end
return moved > 0 and read()
