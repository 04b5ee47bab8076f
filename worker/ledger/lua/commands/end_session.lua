-- Delete the record of a session.
-- ARGV  1 hash of the session's id
-- Reply 1: it existed, 0

return redis.call('DEL', 'nightly:session:' .. ARGV[1])
