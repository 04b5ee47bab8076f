-- Finds the due logins that a claim may take: those that the caller's keys open.
--
-- A login that is sealed under a key which the caller lacks is passed over. While a live worker holds that key, the
-- login stays as it is (context.is_foreign). If no worker does, it becomes due up to a minute later, so that claims
-- reach the logins behind it.

local read_lane, next_of, next_without_failure, put_off_unopened

do -- Private to this file: a chunk of Lua holds at most 200 local variables.

local LOOK_AT_MOST, PAGE = 1000, 100 -- logins of a lane that one claim passes over at most, and reads at a time
local MISSING_WAIT_LEAST, MISSING_WAIT_MOST = 1000, 60000

local unopened = {} -- key that no live worker holds -> lane and reference, in turn
local opens = {} -- beginning of a sealed value -> whether the caller holds its key
local workers = nil
local lanes = {}
local held = {} -- id of a key -> whether a live worker holds it

-- Returns a cursor over the due logins of a lane, in their order; `rank` is that of the next page. The caller lists the
-- logins that leave the lane in `chosen`; `gone` is the number of those that have left already.
function read_lane(context, name, n)
  local key = due_key(context.instance, name)
  local refs = redis.call('ZRANGEBYSCORE', key, '-inf', context.now, 'LIMIT', 0, n)
  local lane = { key = key, refs = refs, at = 0, rank = #refs, passed_over = 0, chosen = {}, gone = 0 }
  lanes[#lanes + 1] = lane
  return lane
end

-- Read the next page. After half of the logins that may be passed over, jump ahead: the worker that holds the key of
-- thousands of logins in front may be unable to call. Returns whether there are more logins.
local function turn_page(context, lane)
  local due = redis.call('ZCOUNT', lane.key, '-inf', context.now)
  if lane.rank >= due then return false end
  if lane.passed_over >= LOOK_AT_MOST / 2 and not lane.has_jumped then
    lane.rank, lane.has_jumped = lane.rank + context.now % (due - lane.rank), true
  end
  lane.refs = redis.call('ZRANGE', lane.key, lane.rank, math.min(lane.rank + PAGE, due) - 1)
  lane.at, lane.rank = 0, lane.rank + #lane.refs
  return true
end

local function can_open(context, sealed)
  local beginning = sealed:sub(1, 5)
  if opens[beginning] == nil then
    local key_id = key_id_of(sealed)
    opens[beginning] = not key_id or context.key_ids == '' or context.key_ids:find(key_id, 1, true) ~= nil
  end
  return opens[beginning]
end

local function pass_over(context, lane, ref, key_id)
  lane.passed_over = lane.passed_over + 1
  if held[key_id] == nil then
    workers = workers or live_workers(context.now)
    held[key_id] = is_held_by_any(workers, key_id)
  end
  if held[key_id] then
    context.is_foreign = true
    return
  end
  local refs = unopened[key_id] or {}
  unopened[key_id] = refs
  refs[#refs + 1], refs[#refs + 2] = lane.key, ref
end

-- Returns the next login that the caller can open, and its fields; nil if there is none.
function next_of(context, lane)
  while true do
    if lane.at == #lane.refs and not (lane.passed_over > 0 and turn_page(context, lane)) then return nil end
    if lane.passed_over >= LOOK_AT_MOST then return nil end
    lane.at = lane.at + 1
    local ref, login, sealed = lane.refs[lane.at], nil, nil
    if lane.passed_over > 0 then
      sealed = run('HGET', login_key(ref), FIELD.sealed)
    else
      login = read_login(ref)
      sealed = login.sealed
    end
    if not sealed or can_open(context, sealed) then return ref, login or read_login(ref) end
    pass_over(context, lane, ref, key_id_of(sealed))
  end
end

-- Returns the login for a canary: one of the first 20 without a failed call, as a failure may have been the login's own
-- fault; else the first.
function next_without_failure(context, lane)
  local first_ref, first = nil, nil
  for _ = 1, 20 do
    local ref, login = next_of(context, lane)
    if not ref then break end
    if not login.failures_while_down and not login.refused_by then return ref, login end
    if not first_ref then first_ref, first = ref, login end
  end
  return first_ref, first
end

-- Take the chosen logins out of their lane. Nearly always they are all in front: to name their range takes Redis a
-- quarter of what it takes to name each.
local function leave(lane)
  local n = #lane.chosen
  if n == 0 then return end
  if lane.passed_over == 0 and lane.at == lane.gone + n then
    redis.call('ZREMRANGEBYRANK', lane.key, 0, n - 1)
  else
    in_pieces('ZREM', lane.key, lane.chosen)
  end
end

also_gathered[#also_gathered + 1] = function()
  for _, lane in ipairs(lanes) do leave(lane) end
  lanes = {}
end

-- Logins whose key no live worker holds are due again later.
function put_off_unopened(context)
  for key_id, refs in pairs(unopened) do
    local wait = math.min(math.max(note_missing(key_id, context.now), MISSING_WAIT_LEAST), MISSING_WAIT_MOST)
    for at = 1, #refs, 2 do put(refs[at], context.now + wait, refs[at + 1]) end
  end
end

end
