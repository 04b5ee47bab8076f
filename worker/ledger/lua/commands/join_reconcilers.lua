-- May this worker run one more reconciler? It keeps one slot free for intake, however long the backlog.
-- A reconciler that has its place asks again once a second, whatever it waits for, and so keeps it.
-- ARGV  now (ms or ''), worker, owner, heartbeat (ms)
-- Reply how many reconcilers there are, this one included; 0: all places of this worker are taken (the caller ends:
--       another reconciler does the work)

local now = clock(ARGV[1])
local worker, owner = ARGV[2], ARGV[3]

forget_silent_reconcilers(now)
local about = redis.call('HGET', 'nightly:workers', worker)
about = about and cjson.decode(about) or { slots = 1 }
local places = math.max(1, about.slots - 1)
local mine = 0
for _, member in ipairs(redis.call('ZRANGE', 'nightly:reconcilers', 0, -1)) do
  if member ~= worker .. '|' .. owner and member:sub(1, #worker + 1) == worker .. '|' then mine = mine + 1 end
end
if mine >= places then return 0 end
if not redis.call('ZSCORE', 'nightly:reconcilers', worker .. '|' .. owner) then
  redis.call('DEL', hint_key(nil))
  for _, key_id in ipairs(about.keys or {}) do redis.call('DEL', hint_key(key_id)) end
end
redis.call('ZADD', 'nightly:reconcilers', now + tonumber(ARGV[4]), worker .. '|' .. owner)
return redis.call('ZCARD', 'nightly:reconcilers')
