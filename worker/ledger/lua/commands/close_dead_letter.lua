-- Replay or resolve one dead letter. A replay makes the login due with its wish of *now*: nothing of the
-- letter's age is sent again. Two reviewers at once: the second is told that the letter is closed.
-- ARGV  now (ms or ''), letter id, replayed | resolved, by whom, note
-- Reply missing | closed | superseded (the login moved on by itself) | replayed | resolved

local now = clock(ARGV[1])
local id, action = ARGV[2], ARGV[3]

local got = redis.call('HMGET', letter_key(id), 'status', 'kind', 'login', 'instance')
if not got[1] then return 'missing' end
if got[1] ~= 'open' then return 'closed' end
redis.call('HSET', letter_key(id), 'closed_by', ARGV[4], 'note', ARGV[5])
if got[2] ~= 'login' then
  close_letter(id, action, now)
  return action
end

local ref, instance = got[3], got[4]
local login = redis.call('HMGET', login_key(ref), FIELD.state, FIELD.letter, FIELD.rests_until, FIELD.row)
local status = action
if login[1] ~= 'dead' or login[2] ~= id then
  status = 'superseded'
elseif action == 'replayed' then
  count(instance, 'replayed')
  redis.call('HSET', login_key(ref), FIELD.is_counted, '0', FIELD.state, 'due', FIELD.lane, 'backfill')
  redis.call('HDEL', login_key(ref), FIELD.failures, FIELD.first_failure, FIELD.failures_while_down,
    FIELD.held_before_failure, FIELD.refused_by)
  put_due(ref, instance, 'backfill', now, tonumber(login[3] or '0') or 0)
  if login[4] then let_row_wait(login[4], now) end
  write_gathered()
end
if login[2] == id then redis.call('HDEL', login_key(ref), FIELD.letter) end
close_letter(id, status, now)
return status
