-- Take wishes into the ledger. Idempotent, and the order of arrival does not matter (wishes.lua).
-- ARGV  now (ms, '' for Redis' own clock), furthest ahead (ms), then for each event:
--       reference, instance, sealed loginId, occurred_at (us), wish, event id, account id, lane
-- Reply for each event: recorded | duplicate | superseded | ahead (dated too far ahead; nothing was stored)

local now = clock(ARGV[1])
local furthest_us = (now + tonumber(ARGV[2])) * 1000

local FIRST, FIELDS = 3, 8

local function record(ref, instance, sealed, occurred_us, ...)
  if tonumber(occurred_us) > furthest_us then return 'ahead' end
  local key = login_key(ref)
  return take_in(key, read_standing(ref), now, ref, instance, sealed, occurred_us, ...)
end

if is_newer() then return refuse_newer() end
count_seals(ARGV, FIRST + 2, FIELDS, now)
return gathering(function()
  local replies = {}
  for at = FIRST, #ARGV, FIELDS do
    replies[#replies + 1] = record(unpack(ARGV, at, at + FIELDS - 1))
  end
  return replies
end)
