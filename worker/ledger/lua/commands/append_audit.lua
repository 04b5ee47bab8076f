-- Record what a person did and what no other script changes, such as a reveal or a sign-in.
-- ARGV  1 now (ms or ''), 2... what the entry is about; the last three: see lib/audit.lua
-- Reply done | head (another entry came first)

local now, targets = clock(ARGV[1]), { unpack(ARGV, 2, #ARGV - 3) }

if is_newer() then return refuse_newer() end
if not is_head_current() then return 'head' end
append_audit(targets, now)
return 'done'
