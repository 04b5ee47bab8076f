-- Read every group of open letters: how many were filed in each of the last hours, and what people said of the group.
-- Changes nothing.
-- ARGV  1 now (ms or ''), 2 number of hours
-- Reply for each: {group, open letters, time of filing of the oldest and of the newest (ms), letters by hour, the
--       oldest hour first, fields and values of its state (missing if it is not a hash)}

local HOUR = 3600000
local now, hours = clock(ARGV[1]), tonumber(ARGV[2])

local function letters_by_hour(key, newest)
  local counts = {}
  for i = 1, hours do counts[i] = 0 end
  if newest <= now - hours * HOUR then return counts end
  for i = 1, hours do
    local from = now - (hours - i + 1) * HOUR
    counts[i] = redis.call('ZCOUNT', key, '(' .. whole(from), i == hours and '+inf' or whole(from + HOUR))
  end
  return counts
end

local views = {}
for _, group in ipairs(redis.call('SMEMBERS', 'nightly:groups')) do
  local key = 'nightly:group:' .. group
  local is_set = redis.call('TYPE', key).ok == 'zset' -- else it has no letter, or a person damaged it
  local oldest = is_set and redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2]
  if oldest then
    local newest = redis.call('ZREVRANGE', key, 0, 0, 'WITHSCORES')[2]
    local state = redis.pcall('HGETALL', 'nightly:group-state:' .. group)
    views[#views + 1] = {
      group, redis.call('ZCARD', key), oldest, newest, letters_by_hour(key, tonumber(newest)),
      not state.err and state or nil,
    }
  end
end
return views
