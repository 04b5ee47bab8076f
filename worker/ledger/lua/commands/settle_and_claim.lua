-- What a drain does in each of its turns, in one: write down what became of calls, then hand out due logins.
-- ARGV  as in terms.lua, what holds calls as in settle.lua, then how many to claim at most, lease (ms), in-flight
--       limit, rest after a lost lease (ms), ids of the caller's keys as in claim.lua, then the calls as in settle.lua
-- Reply {as in settle.lua, as in claim.lua; its state is `newer`, and nothing handed out, where newer code has
--       changed the ledger}

local settled = settle_calls(17)
if is_newer() then return { settled, { 'newer', -1, now } } end
return { settled, claim_due(tonumber(ARGV[12]), tonumber(ARGV[13]), tonumber(ARGV[14]), ARGV[15],
  ARGV[16]) }
