-- Find letters that match a filter, newest first, and read a bounded number of letters for it. Changes nothing.
-- ARGV  1 now (ms or ''), 2 letters (all their fields) | ids, 3 letters to find at most, 4 letters to read at most
--       5 and 6 score and id of the letter after which to go on ('': from the first)
--       7 the filter as JSON (worker/ledger/letter_queries.py): state, and where they are wanted instance, code,
--         wish (on | off | none), source, filed_after and filed_before (ms), attempts_at_least, owner ('-': nobody),
--         newer_event, only_suspects
-- Reply {1 if no letter is left, score and id of the last letter that was read, number of letters read, what was found:
--       ids, or of each letter {its id, its fields and values; these are missing if its key is not a hash}}
-- A letter whose key is not a hash is found by every filter, as a person has to see it, but not among ids.

local HAS_OPEN = { open = true, snoozed = true, any = true }
local HAS_CLOSED = { closed = true, replayed = true, resolved = true, superseded = true, corrected = true, any = true }
local NOBODY = '-'

local now, wanted, find_at_most, read_at_most = clock(ARGV[1]), ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local after_at, after_id, filter = ARGV[5], ARGV[6], cjson.decode(ARGV[7])
if after_at == '' then after_at = nil end

local function group_matches(group)
  local instance, code, wish = group:match('^(.-)|(.-)|(.-)$')
  return (not filter.instance or filter.instance == instance) and (not filter.code or filter.code == code)
    and (not filter.wish or filter.wish == (wish == '' and 'none' or wish))
end

local function matching_groups()
  local keys = {}
  for _, group in ipairs(redis.call('SMEMBERS', 'nightly:groups')) do
    local key = 'nightly:group:' .. group
    if group_matches(group) and redis.call('TYPE', key).ok == 'zset' then keys[#keys + 1] = key end
  end
  return keys
end

-- Returns the smallest sets that hold every open letter of the filter, and whether all of their letters are of groups
-- that match.
local function open_keys()
  local is_any_group = not (filter.instance or filter.code or filter.wish)
  if not HAS_OPEN[filter.state] then return {}, is_any_group end
  if filter.state == 'snoozed' then return { 'nightly:letters:snoozed' }, is_any_group end
  if filter.owner and filter.owner ~= NOBODY then return { owned_key(filter.owner) }, is_any_group end
  if is_any_group then return { 'nightly:letters:open' }, true end
  return matching_groups(), not HAS_CLOSED[filter.state]
end

local function read_sources(keys)
  local sources, lowest = {}, filter.filed_after or 0
  for _, key in ipairs(keys) do
    sources[#sources + 1] = open_source(key, lowest, filter.filed_before, after_at, after_id)
  end
  if HAS_CLOSED[filter.state] then
    sources[#sources + 1] = open_source('nightly:letters:closed', lowest, nil, after_at, after_id)
  end
  return sources
end

-- What is left to check of each letter: `names` of fields, and a test of each. Only these are read, as HMGET scans the
-- hash once for each name.
local names, tests = {}, {}
local function check(name, test)
  names[#names + 1], tests[#tests + 1] = name, test
end

-- Letters in the sets of open ones are open.
local function add_state_check(state)
  if state == 'snoozed' or (state == 'open' and redis.call('EXISTS', 'nightly:letters:snoozed') == 1) then
    check('snoozed_until', function(value) return ((tonumber(value) or 0) > now) == (state == 'snoozed') end)
  end
  if HAS_CLOSED[state] then
    check('status', function(value)
      if value == '' then return false end -- it has expired
      return state == 'any' or value == state or (state == 'closed' and value ~= 'open')
    end)
  end
end

local function add_source_check(source)
  check('backfill', function(value)
    if source == 'live' then return value == '' end
    return value == source or (source == 'backfill' and value ~= '')
  end)
end

-- Whether the login's newest wish is a later one than that of the letter.
local function has_newer_event(ref, id)
  if ref == '' then return false end
  local newest = redis.pcall('HGET', login_key(ref), FIELD.newest)
  local revision = type(newest) == 'string' and revision_and_wish(newest) -- a person may have damaged the login
  return number_or_zero(revision) > number_or_zero(redis.call('HGET', letter_key(id), 'revision'))
end

local function add_checks(is_of_groups)
  add_state_check(filter.state)
  if not is_of_groups then check('group', group_matches) end
  if HAS_CLOSED[filter.state] and (filter.filed_after or filter.filed_before) then
    check('created_at', function(value)
      local at = tonumber(value) or 0
      return at >= (filter.filed_after or 0) and (not filter.filed_before or at < filter.filed_before)
    end)
  end
  if filter.source then add_source_check(filter.source) end
  if filter.attempts_at_least then
    check('failures', function(value) return (tonumber(value) or 0) >= filter.attempts_at_least end)
  end
  if filter.owner then
    local owner = filter.owner ~= NOBODY and filter.owner or ''
    check('owner', function(value) return value == owner end)
  end
  if filter.only_suspects then check('suspect', function(value) return value ~= '' end) end
  if filter.newer_event then check('login', has_newer_event) end
end

local function matches(id)
  if #names == 0 then return true end
  local values = redis.pcall('HMGET', letter_key(id), unpack(names))
  if values.err then return wanted == 'letters' end
  for i = 1, #tests do
    if not tests[i](values[i] or '', id) then return false end
  end
  return true
end

local function read_letter(id)
  local fields = redis.pcall('HGETALL', letter_key(id))
  return { id, not fields.err and fields or nil }
end

local keys, is_of_groups = open_keys()
add_checks(is_of_groups)
local sources, times, found, read = read_sources(keys), {}, {}, 0
local last_at -- as a number: to format it for each letter would be slow
for i, source in ipairs(sources) do times[i] = source.at end
local number = next_of(sources, times)
while number and #found < find_at_most and read < read_at_most do
  local source = sources[number]
  read = read + 1
  last_at, after_id = source.at, source.id
  if matches(source.id) then
    found[#found + 1] = wanted == 'ids' and source.id or read_letter(source.id)
  end
  step(source)
  times[number] = source.at
  number = next_of(sources, times)
end
return { number and 0 or 1, last_at and whole(last_at) or after_at or '', after_id, read, found }
