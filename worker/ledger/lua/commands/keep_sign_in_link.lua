-- Keep a link that signs a person in once.
-- ARGV  1 hash of the link's token, 2 name of the person, 3 how long it is valid (ms)
-- Reply OK

return redis.call('SET', 'nightly:sign-in-link:' .. ARGV[1], ARGV[2], 'PX', ARGV[3])
