-- Keep the record of a person who has signed in. It ends by itself at its absolute limit, or once it was not used for
-- the idle limit.
-- ARGV  1 now (ms or ''), 2 hash of the session's id, 3 idle limit (ms), 4 absolute limit (ms), 5 name of the person,
--       6 hash of the entry that let the person in, 7 how: password | link | oidc, 8 role
-- Reply OK

local now, key, idle_limit = clock(ARGV[1]), 'nightly:session:' .. ARGV[2], tonumber(ARGV[3])
local ends_at = now + tonumber(ARGV[4])
local idle_at = math.min(now + idle_limit, ends_at)

redis.call('HSET', key, 'name', ARGV[5], 'entry', ARGV[6], 'how', ARGV[7], 'role', ARGV[8], 'opened_at', whole(now),
  'ends_at', whole(ends_at), 'idle_at', whole(idle_at))
redis.call('PEXPIRE', key, whole(math.max(idle_at - now, 1)))
return redis.status_reply('OK')
