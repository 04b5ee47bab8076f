-- What every claim and settlement says of its caller, and how the gate stands for it: what changes the gate or the
-- configuration in Redis changes it here, too, so that a claim behind a settlement need not read it again.
-- ARGV  now (ms or ''), instance, fingerprint of the caller's configuration, ceiling (calls/s), owner, worker

local now = clock(ARGV[1])
local now_text = whole(now)
local instance, fingerprint, ceiling, owner, worker = ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5], ARGV[6]
local gate, config = read_gate(instance), read_config(instance, fingerprint)
