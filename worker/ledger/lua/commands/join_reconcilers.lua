-- Take or keep a slot for one reconciler of a worker. One slot of each worker that has several is reserved for intake,
-- however long the backlog. A reconciler calls this once a second while it runs, and so keeps its slot.
-- ARGV  1 now (ms or ''), 2 worker, 3 owner: "<process id>-<random>"
-- Reply number of reconcilers, this one included; 0: this worker has no free slot, and the caller ends

local now, worker, owner = clock(ARGV[1]), ARGV[2], ARGV[3]
local member = worker .. '|' .. owner

forget_silent_reconcilers(now)
local about = redis.call('HGET', 'nightly:workers', worker)
about = about and read_about(about) or { slots = 1 }
local slots = math.max(1, about.slots - 1)
local used = 0
for _, other in ipairs(redis.call('ZRANGE', 'nightly:reconcilers', 0, -1)) do
  if other ~= member and other:sub(1, #worker + 1) == worker .. '|' then used = used + 1 end
end
if used >= slots then return 0 end
if not redis.call('ZSCORE', 'nightly:reconcilers', member) then
  redis.call('DEL', hint_key(nil))
  for _, key_id in ipairs(about.keys or {}) do redis.call('DEL', hint_key(key_id)) end
end
take_slot(member, now)
return redis.call('ZCARD', 'nightly:reconcilers')
