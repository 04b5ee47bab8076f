-- Count what a bulk job would do to the letters of one chunk, by the rules of bulk_feed.lua. Changes nothing.
-- ARGV  1 now (unused), 2 id, 3 name of the chunk
-- Reply names and counts: called:<instance> | confirmed:<instance> (called, though the last confirmed call had the same
--       wish) | in_flight (superseded, and its login is called right now) | superseded | closed | accepted_again |
--       changed (decided without a call) | not_applicable

local id, chunk = ARGV[2], ARGV[3]
local verb = redis.call('HGET', backfill_key(id), 'verb')

local function replayed(letter_id, ref, instance)
  local login = read_login(ref)
  if login.state == 'flight' then return 'in_flight' end
  if login.state ~= 'dead' or login.letter ~= letter_id then return 'superseded' end
  local confirmed = (login.confirmed or ''):match('^%d+:(%d):')
  return (confirmed == login.wish and 'confirmed:' or 'called:') .. instance
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
  local name = foreseen(letter_id)
  counts[name] = (counts[name] or 0) + 1
end
for name, times in pairs(counts) do
  reply[#reply + 1], reply[#reply + 2] = name, times
end
return reply
