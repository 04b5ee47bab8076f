-- One turn of a dispatcher: settle calls that have ended, then claim due logins.
-- ARGV   1 now (ms or ''), 2 instance, 3 fingerprint of the caller's configuration, 4 ceiling (calls/s), 5 owner,
--        6 worker
--        7 to 10 an outage: ratio of failing calls, minimum of calls, window (ms), failures in a row
--       11 a storm: refused logins in a row
--       12 most logins to claim, 13 lease (ms), 14 in-flight limit, 15 how long a login rests after a lost lease (ms)
--       16 ids of the caller's keys in hex, newest first, separated by commas ('': claim logins under any key)
--       17 and on, for each call: reference, claim number, outcome ('': applied, and nothing follows), code, flags,
--          attempt (JSON or ''), times and message ('' or "<delay, ms> <rest, ms> <Retry-After, ms> <HTTP status or
--          nothing> <message>")
--          outcome: applied | transient | throttled | dead | halt | unsent
--          flags: u (unconfirmed), h (host or TLS unreachable), d (Flinks is down), a (ambiguous)
-- Reply {a result for each call (settle.lua), claims (claim.lua)}; if newer code has changed the ledger, it claims
--       nothing and the state of the claims is `newer`

local FIRST_CALL = 17

-- Returns the call whose arguments begin at `at`, and where the next call begins.
local function read_call(at)
  local call = { ref = ARGV[at], number = ARGV[at + 1], item = PLAIN_SUCCESS }
  if ARGV[at + 2] == '' then return call, at + 3 end
  call.item = {
    outcome = ARGV[at + 2], code = ARGV[at + 3], flags = ARGV[at + 4], attempt = ARGV[at + 5],
    delay = 0, rest = 0, retry_after = 0, status = '', message = '',
  }
  if ARGV[at + 6] ~= '' then
    local delay, rest, retry_after, status, message = ARGV[at + 6]:match('^(%d+) (%d+) (%d+) (%d*) (.*)$')
    call.item.delay, call.item.rest, call.item.retry_after = tonumber(delay), tonumber(rest), tonumber(retry_after)
    call.item.status, call.item.message = status, message
  end
  return call, at + 7
end

local function read_calls()
  local calls, at = {}, FIRST_CALL
  while at <= #ARGV do calls[#calls + 1], at = read_call(at) end
  return calls
end

-- The caller, and the gate and configuration as they are for it: settling updates them, and the claim sees that.
local now, instance, fingerprint = clock(ARGV[1]), ARGV[2], ARGV[3]
local context = {
  now = now, now_text = whole(now), instance = instance, fingerprint = fingerprint, ceiling = tonumber(ARGV[4]),
  ceiling_text = ARGV[4], owner = ARGV[5], worker = ARGV[6], storm_logins = tonumber(ARGV[11]), key_ids = ARGV[16],
  leases = leases_key(instance),
  gate = read_gate(instance), config = read_config(instance, fingerprint), is_foreign = false,
  has_run = redis.call('EXISTS', invalid_key(instance, fingerprint)) == 1,
}
local rules = {
  outage_ratio = tonumber(ARGV[7]), outage_min_calls = tonumber(ARGV[8]), outage_window = tonumber(ARGV[9]),
  outage_in_a_row = tonumber(ARGV[10]),
}
local limits = {
  at_most = tonumber(ARGV[12]), lease = tonumber(ARGV[13]), in_flight = tonumber(ARGV[14]), rest = ARGV[15],
}

local settled = settle_calls(context, read_calls(), rules)
if is_newer() then return { settled, { 'newer', -1, now } } end
return { settled, claim_due(context, limits) }
