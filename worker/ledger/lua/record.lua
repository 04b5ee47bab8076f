-- Take wishes into the ledger. Idempotent, and the order of arrival does not matter (recording.lua).
-- ARGV  now (ms, '' for Redis' own clock), furthest ahead (ms), each | whole (all events or, if one is ahead, none),
--       then for each event:
--       reference, instance, sealed loginId, occurred_at (us), wish, event id, account id, lane
-- Reply for each event: recorded | duplicate | superseded | ahead (dated too far ahead; nothing was stored) |
--       held (nothing was stored, because another is ahead)

local now = clock(ARGV[1])
local furthest_us = (now + tonumber(ARGV[2])) * 1000

local FIRST, FIELDS = 4, 8
local OCCURRED_AT = 3 -- its place behind the first field of an event

local function is_ahead_at(at) return tonumber(ARGV[at + OCCURRED_AT]) > furthest_us end

-- What to answer where all are to be taken in and one is ahead; nil where none is.
local function refusal()
  local replies, is_refused = {}, false
  for at = FIRST, #ARGV, FIELDS do
    local is_far = is_ahead_at(at)
    is_refused = is_refused or is_far
    replies[#replies + 1] = is_far and 'ahead' or 'held'
  end
  return is_refused and replies or nil
end

local function record(ref, instance, sealed, occurred_us, ...)
  local key = login_key(ref)
  return take_in(key, read_standing(ref), now, ref, instance, sealed, occurred_us, ...)
end

if is_newer() then return refuse_newer() end
local refused = ARGV[3] == 'whole' and refusal()
if refused then return refused end
return gathering(function()
  local replies = {}
  for at = FIRST, #ARGV, FIELDS do
    replies[#replies + 1] = is_ahead_at(at) and 'ahead' or record(unpack(ARGV, at, at + FIELDS - 1))
  end
  return replies
end)
