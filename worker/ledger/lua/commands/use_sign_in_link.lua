-- Take a link that signs in once: a second use finds nothing.
-- ARGV  1 hash of the link's token
-- Reply name of the person; nil: the link is unknown, used, or too old

local key = 'nightly:sign-in-link:' .. ARGV[1]
local name = redis.call('GET', key)
redis.call('DEL', key)
return name
