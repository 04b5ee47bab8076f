-- Walks through the letters of several sorted sets as if they were one, newest first: greatest score first, and of
-- equal scores the greatest id. An open letter has its time of filing as its score, a closed one the time of closing.

local CHUNK = 100

-- Returns the number of letters of a set that come before the ones after `at` and `id`. That letter itself may have
-- left the set, so its place among those of its millisecond, perhaps thousands, is found by bisection.
local function offset_after(key, at, id)
  local first = redis.call('ZCOUNT', key, '(' .. at, '+inf')
  local low, high = 0, redis.call('ZCOUNT', key, at, at)
  while low < high do
    local middle = math.floor((low + high) / 2)
    local found = redis.call('ZREVRANGE', key, first + middle, first + middle)[1]
    if found and compare_bytes(found, id) >= 0 then low = middle + 1 else high = middle end
  end
  return first + low
end

-- Read the next letter of a source into `id` and `at`; `id` is nil, and `at` -1, at the end of the set or below
-- `lowest`.
local function step(source)
  source.place = source.place + 2
  if not source.chunk or source.place > #source.chunk then
    source.chunk = redis.call('ZREVRANGE', source.key, source.offset, source.offset + CHUNK - 1, 'WITHSCORES')
    source.offset, source.place = source.offset + CHUNK, 1
  end
  source.id, source.at = source.chunk[source.place], tonumber(source.chunk[source.place + 1] or '-1')
  if source.at < source.lowest then source.id, source.at = nil, -1 end
end

-- Returns a source at its first letter: below `before`, and after the letter of the cursor, where they are given.
local function open_source(key, lowest, before, after_at, after_id)
  local offset = before and redis.call('ZCOUNT', key, whole(before), '+inf') or 0
  if after_at then offset = math.max(offset, offset_after(key, after_at, after_id)) end
  local source = { key = key, lowest = lowest, offset = offset, place = -1 }
  step(source)
  return source
end

-- Returns the number of the source whose letter is the next one; nil: there is none. `times` has the time of each
-- source's letter: with many groups, reading it from the sources would take most of the time.
local function next_of(sources, times)
  local best, best_at = nil, -1
  for i = 1, #times do
    local at = times[i]
    if at > best_at or (at == best_at and best and compare_bytes(sources[i].id, sources[best].id) > 0) then
      best, best_at = i, at
    end
  end
  return best
end
