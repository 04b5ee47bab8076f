-- Read the record of a session, and start its idle time again; a session that has ended is deleted.
-- ARGV  1 now (ms or ''), 2 hash of the session's id, 3 idle limit (ms), 4 1: a person used it, '': a page renewed
--       itself, which does not start the idle time again
-- Reply name, hash of the entry, how, role, opened at (ms); empty: there is no such session, or a person damaged it

local now, key, idle_limit, is_used = clock(ARGV[1]), 'nightly:session:' .. ARGV[2], tonumber(ARGV[3]), ARGV[4] == '1'
local found = redis.pcall('HMGET', key, 'name', 'entry', 'how', 'role', 'opened_at', 'ends_at', 'idle_at')
local ends_at, idle_at = number_or_zero(found[6]), number_or_zero(found[7])
local is_whole = found[1] and found[2] and found[3] and found[4] and (found[5] or ''):find('^%d+$')

if now >= ends_at or now >= idle_at or not is_whole then
  redis.call('DEL', key)
  return {}
end
if is_used then
  idle_at = math.min(now + idle_limit, ends_at)
  local reply = redis.pcall('HSET', key, 'idle_at', whole(idle_at))
  local problem = type(reply) == 'table' and reply.err
  if not problem then
    redis.call('PEXPIRE', key, whole(math.max(idle_at - now, 1)))
  elseif not problem:find('OOM', 1, true) then
    return redis.error_reply(problem)
  end -- else Redis is full: people need the pages then, so the session goes on without starting its idle time again
end
return { found[1], found[2], found[3], found[4], found[5] }
