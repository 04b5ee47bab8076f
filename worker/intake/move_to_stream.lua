-- Moves items of Celery's lists into a stream: there they are pending for whoever reads them, and not in its memory alone.
-- KEYS  stream, a key that nobody uses, then lists, in the order in which they are emptied; kombu takes from the right
-- ARGV  how many, how many bytes
-- Reply how many were moved
--
-- An item is deleted after it was added to the stream, so whatever ends the script between the two costs a double, never
-- an item. A full Redis refuses a script's first write and lets the others through, so the first one needs no room:
-- else a full broker could not be emptied.

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
