-- Say that the caller lacks a key which it met.
-- ARGV  now (ms or ''), the key's id
-- Reply 1: a live worker holds it; 0: none does, which is noted

local now = clock(ARGV[1])
if is_held_by_any(live_workers(now), ARGV[2]) then return 1 end
note_missing(ARGV[2], now)
return 0
