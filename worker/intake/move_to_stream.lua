-- Moves items from Celery's lists to a stream, where Redis keeps them pending until a reader acknowledges them.
-- KEYS  stream, an unused key, then the lists in the order in which they are emptied; kombu pops from the right
-- ARGV  at most this many items, and about this many bytes
-- Reply number of items moved
--
-- An item is popped after it was added to the stream: if the script ends between the two, the item is there twice, and
-- never lost. A full Redis refuses only a script's first write if that needs memory. So the first write deletes an
-- unused key, and a full broker can be emptied.

local at_most, room = tonumber(ARGV[1]), tonumber(ARGV[2])
if redis.call('EXISTS', unpack(KEYS, 3)) == 0 then return 0 end
redis.call('DEL', KEYS[2])

local moved = 0
for i = 3, #KEYS do
  while moved < at_most and room > 0 do
    local item = redis.call('LINDEX', KEYS[i], -1)
    if not item then break end
    redis.call('XADD', KEYS[1], '*', 'message', item)
    redis.call('RPOP', KEYS[i])
    moved, room = moved + 1, room - #item
  end
end
return moved
