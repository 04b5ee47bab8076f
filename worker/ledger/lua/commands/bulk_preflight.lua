-- Count what a bulk job would do to the letters of one chunk, by the rules of bulk_feed.lua. Changes nothing.
-- ARGV  1 now (unused), 2 id, 3 name of the chunk, 4 verb
-- Reply names and counts: called:<instance> | confirmed:<instance> (called, though the last confirmed call had the same
--       wish) | in_flight (superseded, and its login is called right now) | superseded | closed | accepted_again |
--       changed (decided without a call) | not_applicable (also: a person wrote to a key, so it cannot be read)

local id, chunk, verb = ARGV[2], ARGV[3], ARGV[4]

local function replayed(letter_id, ref, instance)
  -- Not read_login: it takes three times as long, and a list may have a million letters.
  local state, letter, confirmed, newest = unpack(redis.call('HMGET', login_key(ref),
    FIELD.state, FIELD.letter, FIELD.confirmed, FIELD.newest))
  if state == 'flight' then return 'in_flight' end
  if state ~= 'dead' or letter ~= letter_id then return 'superseded' end
  local _, wish = revision_and_wish(newest)
  return ((confirmed or ''):match('^%d+:(%d):') == wish and 'confirmed:' or 'called:') .. instance
end

local function foreseen(letter_id)
  local status, kind, ref, instance, code, wish = unpack(redis.call('HMGET', letter_key(letter_id),
    'status', 'kind', 'login', 'instance', 'code', 'wish'))
  if status == 'superseded' then
    local state = verb == 'replay' and redis.call('HGET', login_key(ref), FIELD.state)
    return state == 'flight' and 'in_flight' or 'superseded'
  end
  if status ~= 'open' then return 'closed' end
  if verb == 'replay' then return kind == 'login' and replayed(letter_id, ref, instance) or 'accepted_again' end
  if verb == 'nothing_left' and (kind ~= 'login' or code ~= 'INVALID_LOGIN' or wish ~= '0') then
    return 'not_applicable'
  end
  return 'changed'
end

local counts, reply = {}, {}
for letter_id in (redis.call('HGET', chunks_key(id), chunk) or ''):gmatch('[^\n]+') do
  local is_read, name = pcall(foreseen, letter_id)
  if not is_read then name = 'not_applicable' end
  counts[name] = (counts[name] or 0) + 1
end
for name, times in pairs(counts) do
  reply[#reply + 1], reply[#reply + 2] = name, times
end
return reply
