-- Report a key that the caller needs and lacks.
-- ARGV  1 now (ms or ''), 2 id of the key
-- Reply 1: a live worker holds it; 0: no worker does, and the key is noted as missing

local now, key_id = clock(ARGV[1]), ARGV[2]
if is_held_by_any(live_workers(now), key_id) then return 1 end
note_missing(key_id, now)
return 0
