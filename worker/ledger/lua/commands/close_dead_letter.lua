-- Close one dead letter: a person replays, resolves or corrects it. A replay makes the login due with its newest wish,
-- not the letter's. The wishes of a rejected message, or the corrected wish, are recorded by the same script, so that
-- of two people at once only the first one changes anything.
-- ARGV  1 now (ms or ''), 2 letter id, 3 new status: replayed | resolved | corrected
--       4 version of the letter that the person saw ('': any), 5 name of the person, 6 action for the history
--       7 note, 8 reference of the login that gets the corrected wish ('': none)
--       9 and on, for each wish: as for record.lua; the caller has checked that none is dated too far ahead
--       the last three: see lib/audit.lua
-- Reply head | {missing | closed | changed (since that version)} | {status, result of each wish as for record.lua};
--       the status is superseded if the login was called or deleted since, and then nothing else was done

local FIRST_WISH, OF_AUDIT = 9, 3

local now, id, new_status, seen_version = clock(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]
local by, action, note, corrected_to = ARGV[5], ARGV[6], ARGV[7], ARGV[8]

if is_newer() then return refuse_newer() end
if not is_head_current() then return 'head' end
local key = letter_key(id)
local status, ref, instance, version = unpack(redis.call('HMGET', key, 'status', 'login', 'instance', 'version'))
if not status then return { 'missing' } end
if status ~= 'open' then return { 'closed' } end
if seen_version ~= '' and seen_version ~= version then return { 'changed' } end
local login = ref and read_login(ref)
if login and not is_current(login, id) then
  if new_status == 'corrected' then return { 'changed' } end
  new_status = 'superseded'
end

local entry = HEAD_AFTER:match('^%d+')
local wishes, sealed_values = read_wishes(FIRST_WISH, #ARGV - OF_AUDIT)
count_seals(sealed_values, now)

local function close_login()
  remember_action(ref, id, action, by, note, entry, now)
  if new_status == 'replayed' then replay_login(ref, login, instance, now) end
  if login.letter == id then redis.call('HDEL', login_key(ref), FIELD.letter) end
end

-- A corrected wish that its login has already, but that nobody asserts, as the login is dead and its letter is closed, is
-- asserted again: else nothing would be called after a correction that takes back an earlier one.
local function record_wanted(wish)
  local standing = read_standing(wish.ref)
  local result = record_wish(wish, standing, now)
  if new_status == 'corrected' and result == 'duplicate' and standing.state == 'dead' and not standing.letter then
    replay_login(wish.ref, standing, wish.instance, now)
  end
  return result
end

return gathering(function()
  local reply, targets = { new_status }, { id }
  if ref then targets[2] = ref end
  if corrected_to ~= '' and corrected_to ~= ref then targets[#targets + 1] = corrected_to end
  append_audit(targets, now)
  if ref then close_login() end
  for i, wish in ipairs(wishes) do reply[i + 1] = record_wanted(wish) end
  if corrected_to ~= '' then
    redis.call('HSET', key, 'corrected_to', corrected_to)
    if corrected_to ~= ref then remember_action(corrected_to, id, action, by, note, entry, now) end
  end
  if note ~= '' then redis.call('HSET', key, 'note', note) end
  close_letter(id, new_status, now, 'closed_by', by)
  return reply
end)
