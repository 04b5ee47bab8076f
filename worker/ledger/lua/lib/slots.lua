-- The slots of reconcilers, and the hints, which hold messages back.
--
-- nightly:reconcilers  sorted set: "<worker>|<owner>" of each running reconciler, by the time at which its slot is free
--                      unless it renews it; the owner begins with the id of its process and a hyphen

local take_slot, forget_silent_reconcilers, forget_dead_reconcilers, may_send

do -- Private to this file: a chunk of Lua holds at most 200 local variables.

local SLOT = 3000 -- ms
local HINT_LIFE, LONGEST_HINT = 1000, 10000

function take_slot(member, now) redis.call('ZADD', 'nightly:reconcilers', now + SLOT, member) end

-- Free the slots of reconcilers that fell silent, and those from before the clock was set back: who still runs renews
-- its slot within a second.
function forget_silent_reconcilers(now)
  redis.call('ZREMRANGEBYSCORE', 'nightly:reconcilers', '-inf', now)
  redis.call('ZREMRANGEBYSCORE', 'nightly:reconcilers', '(' .. whole(now + SLOT), '+inf')
end

-- Free the slots of a worker's reconcilers whose processes were killed. `processes` lists the ids of those that live.
function forget_dead_reconcilers(worker, processes)
  local is_alive, prefix = {}, worker .. '|'
  for _, pid in ipairs(processes) do is_alive[tostring(pid)] = true end
  for _, member in ipairs(redis.call('ZRANGE', 'nightly:reconcilers', 0, -1)) do
    local pid = member:sub(1, #prefix) == prefix and member:sub(#prefix + 1):match('^(%d+)%-')
    if pid and not is_alive[pid] then redis.call('ZREM', 'nightly:reconcilers', member) end
  end
end

-- Whether a message may be sent now; if so, no other is for a second. A hint that lasts longer than any is from before
-- Redis' clock was set back.
function may_send(hint)
  if redis.call('PTTL', hint) > LONGEST_HINT then redis.call('DEL', hint) end
  return redis.call('SET', hint, '1', 'NX', 'PX', HINT_LIFE)
end

end
