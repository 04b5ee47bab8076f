-- What a person's action does to a dead letter and to its login.

-- Add an action to a login's history. `entry`: its number in the audit log.
local function remember_action(ref, id, action, by, text, entry, now)
  local has_letter = redis.call('HGET', login_key(ref), FIELD.letter) ~= false
  remember(ref, string.format('["action",%s,%s,"%s","%s",%s,%s]', whole(now), cjson.encode(by), action, id, entry,
    cjson.encode(text)), not has_letter)
end

-- Whether the letter is about the login's newest wish; else the login was called or deleted since.
local function is_current(login, id) return login.state == 'dead' and login.letter == id end

-- Make a dead login due with its newest wish, as if it had never failed. `row` names the row of a bulk job that waits
-- for its call (nil: none).
local function replay_login(ref, login, instance, now, row)
  local key = login_key(ref)
  count(instance, 'replayed')
  redis.call('HSET', key, FIELD.is_counted, '0', FIELD.state, 'due', FIELD.lane, 'backfill')
  redis.call('HDEL', key, FIELD.failures, FIELD.first_failure, FIELD.failures_while_down, FIELD.held_before_failure,
    FIELD.refused_by)
  put_due(ref, instance, 'backfill', now, number_or_zero(login.rests_until))
  if login.row then let_row_wait(login.row, now) end
  if not row then return end
  local of_backfill = login.row and not login.row:find(JOB) and login.row:match('^[^ ]+')
  redis.call('HSET', key, FIELD.row, of_backfill and of_backfill .. ' ' .. row or row)
end
