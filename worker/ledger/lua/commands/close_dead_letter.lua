-- Replay or resolve one dead letter. A replay makes the login due with its newest wish, not the letter's.
-- Of two reviewers at once, the second gets `closed`.
-- ARGV  1 now (ms or ''), 2 letter id, 3 replayed | resolved, 4 name of the reviewer, 5 note
-- Reply missing | closed | superseded (a newer event or call has changed the login) | replayed | resolved

local now, id, action, reviewer, note = clock(ARGV[1]), ARGV[2], ARGV[3], ARGV[4], ARGV[5]

local letter_status, kind, ref, instance = unpack(redis.call('HMGET', letter_key(id),
  'status', 'kind', 'login', 'instance'))
if not letter_status then return 'missing' end
if letter_status ~= 'open' then return 'closed' end
redis.call('HSET', letter_key(id), 'closed_by', reviewer, 'note', note)
if kind ~= 'login' then
  close_letter(id, action, now)
  return action
end

local login, status = read_login(ref), action
if login.state ~= 'dead' or login.letter ~= id then
  status = 'superseded'
elseif action == 'replayed' then
  count(instance, 'replayed')
  redis.call('HSET', login_key(ref), FIELD.is_counted, '0', FIELD.state, 'due', FIELD.lane, 'backfill')
  redis.call('HDEL', login_key(ref), FIELD.failures, FIELD.first_failure, FIELD.failures_while_down,
    FIELD.held_before_failure, FIELD.refused_by)
  put_due(ref, instance, 'backfill', now, tonumber(login.rests_until or '0') or 0)
  if login.row then let_row_wait(login.row, now) end
  write_gathered()
end
if login.letter == id then redis.call('HDEL', login_key(ref), FIELD.letter) end
close_letter(id, status, now)
return status
