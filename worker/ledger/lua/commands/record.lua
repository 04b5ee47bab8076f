-- Record events in the ledger. Idempotent, and the order of arrival does not matter (wishes.lua).
-- ARGV  1 now (ms, '' for Redis' own clock), 2 how far ahead of now an event may be dated (ms)
--       3 and on, for each event: reference, instance, sealed loginId, occurred_at (us), wish (1: on, 0: off),
--         event id, account id ('': none), lane (live | backfill)
-- Reply for each event: recorded | duplicate | superseded | ahead (dated too far ahead; nothing was stored)

local FIRST_EVENT = 3

local now = clock(ARGV[1])
local furthest_us = (now + tonumber(ARGV[2])) * 1000
local events, sealed_values = read_wishes(FIRST_EVENT, #ARGV)

local function record(event)
  if tonumber(event.occurred_us) > furthest_us then return 'ahead' end
  return record_wish(event, read_standing(event.ref), now)
end

if is_newer() then return refuse_newer() end
count_seals(sealed_values, now)
return gathering(function()
  local replies = {}
  for i, event in ipairs(events) do replies[i] = record(event) end
  return replies
end)
