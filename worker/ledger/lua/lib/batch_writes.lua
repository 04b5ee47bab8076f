-- Gathers what a script changes in sorted sets and in the tally, for all its logins, and writes it with one command a
-- key.

local tallies, moves = {}, {}
local also_gathered = {} -- functions that write what other files gather
local PIECE = 1000 -- arguments of one command; unpack fails with some thousands

local function count(instance, name)
  local tally = tallies[instance] or {}
  tallies[instance] = tally
  tally[name] = (tally[name] or 0) + 1
end

-- Put a login into a sorted set, or take it out (score false): the last of several moves counts.
local function move(key, ref, score)
  local set = moves[key] or {}
  moves[key] = set
  set[ref] = score
end
local function put(key, score, ref) move(key, ref, score) end
local function take(key, ref) move(key, ref, false) end

-- Returns the score of a login in a sorted set as this script leaves it; nil if it is not in the set.
local function place_of(key, ref)
  local score = moves[key] and moves[key][ref]
  if score == nil then score = redis.call('ZSCORE', key, ref) end
  return score and tonumber(score) or nil
end

-- Make a login due in its lane at `due_at`, or later, when its rest ends.
local function put_due(ref, instance, lane, due_at, rests_until)
  put(due_key(instance, lane), later(due_at, rests_until), ref)
end

local function in_pieces(command, key, args)
  for i = 1, #args, PIECE do redis.call(command, key, unpack(args, i, math.min(i + PIECE - 1, #args))) end
end

local function write_gathered()
  local texts = {} -- of scores, most of which are equal: formatting a number is slow
  for key, set in pairs(moves) do
    local taken, placed = {}, {}
    for ref, score in pairs(set) do
      if score then
        texts[score] = texts[score] or whole(score)
        placed[#placed + 1] = texts[score]
        placed[#placed + 1] = ref
      else
        taken[#taken + 1] = ref
      end
    end
    in_pieces('ZREM', key, taken)
    in_pieces('ZADD', key, placed)
  end
  for instance, tally in pairs(tallies) do
    for name, times in pairs(tally) do redis.call('HINCRBY', tally_key(instance), name, times) end
  end
  moves, tallies = {}, {}
  for _, write in ipairs(also_gathered) do write() end
end

-- Run `work`, and write what it gathered, even if Redis refused a command midway: a login whose hash says "due" and
-- that is in no lane would wait for ever.
local function gathering(work)
  local is_done, result = pcall(work)
  write_gathered()
  if not is_done then error(result, 0) end
  return result
end
