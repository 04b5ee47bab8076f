-- Hand out due logins of one instance.
-- ARGV  as in terms.lua, then how many at most, lease (ms), in-flight limit, rest after a lost lease (ms), ids of the
--       caller's keys as in claim.lua
-- Reply as in claim.lua

if is_newer() then return refuse_newer() end
return claim_due(tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9]), ARGV[10], ARGV[11])
