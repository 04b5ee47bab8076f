-- Decide the next letters of one segment of a bulk job. The cursor moves in the same script, so each letter is decided
-- once, whichever process is killed. A letter that is replayed fills a place in the lane of its login, as a row of a
-- backfill does, and its row ends with the call. The wishes of a rejected message are recorded as its row is decided.
-- ARGV  1 now (ms or ''), 2 id, 3 number of the segment, 4 fingerprint of the caller's configuration for its instance,
--       5 most letters to decide
--       6 of a rejected message: the row that the caller judged ('': none), 7 accepted | invalid | failed, 8 code
--       9 and on, for each wish of that message: as for record.lua; none is dated too far ahead
-- Reply {state, letters decided, room left for more of them, result of each wish that was recorded}
--       state: fed | moved (another feeder was faster) | shut (that configuration may make no calls now) | full (the
--              lane) | slow (by the job's own rate) | unknown, or the job's status when it is not `running`

local now, id, number, fingerprint, at_most = clock(ARGV[1]), ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local message_row, message_outcome, message_code = ARGV[6], ARGV[7], ARGV[8]
local wishes, sealed_values = read_wishes(9, #ARGV)

if is_newer() then return refuse_newer() end
local status, fed, verb, rate, tat, starter, entry, note, owner, snoozed_until = unpack(redis.call('HMGET',
  backfill_key(id), 'status', 'fed', 'verb', 'rate', 'tat', 'starter', 'entry', 'note', 'owner', 'until'))
if status ~= 'running' then return { status or 'unknown', 0, 0, {} } end
local segment = segment_of(id, number)
if not segment then return { 'unknown', 0, 0, {} } end
local needs_judging = verb == 'replay' and segment.instance == ''
if needs_judging ~= (message_row ~= '') then return redis.error_reply('ERR only rejected messages are judged') end
if needs_judging and tonumber(message_row) ~= segment.at then return { 'moved', 0, 0, {} } end

local makes_calls = verb == 'replay' and segment.instance ~= ''
local room = segment.last - segment.at
if makes_calls then
  local admitted = admission(read_gate(segment.instance), read_config(segment.instance, fingerprint), now)
  if admitted == 'closed' or admitted == 'waiting' then return { 'shut', 0, 0, {} } end
  room = lane_room(segment.instance, now)
  if room < 1 then return { 'full', 0, 0, {} } end
end
local allowed, tat_after = rows_allowed(rate, tat, segment.last - segment.at, now)
if allowed < 1 and segment.at < segment.last then return { 'slow', 0, 0, {} } end

-- Note what the job does to a letter, in the history of its login.
local function note_action(letter, text)
  if letter.ref then remember_action(letter.ref, letter.id, verb, starter, text, entry, now) end
end

-- Close a letter. Returns its status: superseded, if its login was called or deleted since.
local function close(letter, action, row)
  local login = letter.ref and read_login(letter.ref)
  note_action(letter, note)
  if login and not is_current(login, letter.id) then
    action = 'superseded'
  elseif login and action == 'replayed' then
    replay_login(letter.ref, login, letter.instance, now, row)
  end
  if login and login.letter == letter.id then redis.call('HDEL', login_key(letter.ref), FIELD.letter) end
  if note ~= '' then redis.call('HSET', letter_key(letter.id), 'note', note) end -- else an earlier note stays
  close_letter(letter.id, action, now, 'closed_by', starter, 'job', id)
  return action
end

-- Each verb returns the outcome of the row and its code; nothing while the row waits for its call.
local verbs, recorded = {}, {}

function verbs.replay(letter, row)
  if letter.kind == 'login' then
    local outcome = close(letter, 'replayed', name_of(id, row))
    return outcome ~= 'replayed' and outcome or nil
  end
  if message_outcome == 'accepted' then
    count_seals(sealed_values, now)
    for i, wish in ipairs(wishes) do recorded[i] = record_wish(wish, read_standing(wish.ref), now) end
    close(letter, 'replayed')
  end
  return message_outcome, message_code
end

function verbs.resolve(letter) return close(letter, 'resolved') end

function verbs.nothing_left(letter)
  if letter.kind ~= 'login' or letter.code ~= 'INVALID_LOGIN' or letter.wish ~= '0' then return 'not_applicable' end
  return close(letter, 'resolved')
end

function verbs.assign(letter)
  set_owner(letter.id, owner)
  raise_version(letter.id)
  note_action(letter, owner)
  return 'assigned'
end

function verbs.snooze(letter)
  set_snooze(letter.id, tonumber(snoozed_until))
  raise_version(letter.id)
  note_action(letter, '')
  return 'snoozed'
end

local function decide(letter_id, row)
  local letter_status, kind, ref, instance, code, wish = unpack(redis.call('HMGET', letter_key(letter_id),
    'status', 'kind', 'login', 'instance', 'code', 'wish'))
  if letter_status == 'superseded' then return 'superseded' end
  if letter_status ~= 'open' then return 'closed' end
  return verbs[verb]({ id = letter_id, kind = kind, ref = ref or nil, instance = instance, code = code, wish = wish }, row)
end

return gathering(function()
  local decided = 0
  for _, letter_id in ipairs(letters_from(id, segment, math.min(at_most, allowed))) do
    if room < 1 then break end
    local row = segment.at + decided
    local is_done, outcome, code = pcall(decide, letter_id, row)
    if not is_done then outcome, code = 'failed', 'unreadable' end -- a person wrote to a key: it would stop the job
    if outcome then end_row(id, row, outcome, code or '', now) end
    if not (outcome and makes_calls) then room = room - 1 end -- a replay that makes no call takes no place in the lane
    decided = decided + 1
  end
  if decided > 0 then
    redis.call('HSET', backfill_key(id), 'at:' .. number, segment.at + decided, 'fed', fed + decided,
      'tat', tat_after(decided))
  end
  return { 'fed', decided, math.min(room, allowed - decided), recorded }
end)
