-- Find letters that match a filter, newest first, and read a bounded number of letters for it. Changes nothing.
-- ARGV  1 now (ms or ''), 2 letters (all their fields) | ids, 3 letters to find at most, 4 letters to read at most
--       5 and 6 score and id of the letter after which to go on ('': from the first)
--       7 the filter as JSON (worker/ledger/letter_queries.py): state, and where they are wanted instance, code,
--         wish (on | off | none), source, filed_after and filed_before (ms), attempts_at_least, owner ('-': nobody),
--         newer_event, only_suspects
-- Reply {1 if no letter is left, score and id of the last letter that was read, number of letters read, what was found}

local OPEN, CLOSED = { open = true, snoozed = true, any = true }, {
  closed = true, replayed = true, resolved = true, superseded = true, corrected = true, any = true,
}
local WISHES = { on = '1', off = '0', none = '' }
local NOBODY = '-'

local now, wanted, find_at_most, read_at_most = clock(ARGV[1]), ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local after_at, after_id, filter = ARGV[5], ARGV[6], cjson.decode(ARGV[7])
if after_at == '' then after_at = nil end

local function group_matches(group)
  local instance, code, wish = group:match('^(.-)|(.-)|(.-)$')
  return (not filter.instance or filter.instance == instance) and (not filter.code or filter.code == code)
    and (not filter.wish or filter.wish == (wish == '' and 'none' or wish))
end

-- Returns the smallest sets that hold every open letter of the filter.
local function open_keys()
  if filter.state == 'snoozed' then return { 'nightly:letters:snoozed' } end
  if filter.owner and filter.owner ~= NOBODY then return { owned_key(filter.owner) } end
  if not (filter.instance or filter.code or filter.wish) then return { 'nightly:letters:open' } end
  local keys = {}
  for _, group in ipairs(redis.call('SMEMBERS', 'nightly:groups')) do
    if group_matches(group) then keys[#keys + 1] = 'nightly:group:' .. group end
  end
  return keys
end

local function open_sources()
  local sources, lowest = {}, filter.filed_after or 0
  if OPEN[filter.state] then
    for _, key in ipairs(open_keys()) do
      sources[#sources + 1] = open_source(key, lowest, filter.filed_before, after_at, after_id)
    end
  end
  if CLOSED[filter.state] then
    sources[#sources + 1] = open_source('nightly:letters:closed', lowest, nil, after_at, after_id)
  end
  return sources
end

local NAMES = {
  'status', 'snoozed_until', 'created_at', 'instance', 'code', 'wish', 'backfill', 'failures', 'owner', 'suspect',
  'login', 'revision',
}

local function state_matches(letter)
  local state = filter.state
  if state == 'any' then return true end
  if state == 'closed' then return letter.status ~= 'open' end
  if state ~= 'open' and state ~= 'snoozed' then return letter.status == state end
  local is_snoozed = (tonumber(letter.snoozed_until or '') or 0) > now
  return letter.status == 'open' and is_snoozed == (state == 'snoozed')
end

local function source_matches(backfill)
  if filter.source == 'live' then return backfill == '' end
  if filter.source == 'backfill' then return backfill ~= '' end
  return backfill == filter.source
end

-- Whether the login's newest wish is a later one than that of the letter.
local function has_newer_event(letter)
  if not letter.login then return false end
  local revision = redis.call('HGET', login_key(letter.login), FIELD.revision)
  return (tonumber(revision or '') or 0) > (tonumber(letter.revision or '') or 0)
end

local function is_filed_in_time(created_at)
  return created_at >= (filter.filed_after or 0) and (not filter.filed_before or created_at < filter.filed_before)
end

local function fields_match(letter)
  local owner = letter.owner or ''
  return (not filter.instance or letter.instance == filter.instance)
    and (not filter.code or letter.code == filter.code)
    and (not filter.wish or (letter.wish or '') == WISHES[filter.wish])
    and (not filter.source or source_matches(letter.backfill or ''))
    and (not filter.attempts_at_least or (tonumber(letter.failures or '') or 0) >= filter.attempts_at_least)
    and (not filter.owner or owner == (filter.owner ~= NOBODY and filter.owner or ''))
    and (not filter.only_suspects or (letter.suspect or '') ~= '')
end

local function matches(id)
  local values, letter = redis.call('HMGET', letter_key(id), unpack(NAMES)), {}
  for i, name in ipairs(NAMES) do letter[name] = values[i] or nil end
  if not letter.status then return false end -- it has expired
  return state_matches(letter) and is_filed_in_time(tonumber(letter.created_at)) and fields_match(letter)
    and (not filter.newer_event or has_newer_event(letter))
end

local sources, found, read = open_sources(), {}, 0
local source = next_of(sources)
while source and #found < find_at_most and read < read_at_most do
  read = read + 1
  after_at, after_id = whole(source.at), source.id
  if matches(source.id) then
    found[#found + 1] = wanted == 'ids' and source.id or redis.call('HGETALL', letter_key(source.id))
  end
  step(source)
  source = next_of(sources)
end
return { source and 0 or 1, after_at or '', after_id, read, found }
