"""Detects entries that vanished from a stream unread, and repairs a stream that accepts no more entries.

A user that may XADD may also trim the stream and set its last id: no ACL prevents that. Redis 7 and Valkey count added
entries, and the group's scripts count those taken in. An entry that is neither taken in, nor held by a reader, nor in
the stream has vanished. Redis 6.2 does not count added entries: there only those that vanish from a dead reader are
noticed.

`nightly:entries:<stream>`  hash: taken (entries accounted for), vanished, vanished_at (when noticed, ms),
                            told (vanished entries that were reported), told_at (ms)
"""

import time

import redis

from worker.ledger.stream_state import AHEAD_MS, account_key
from worker.redis_client.connect import BytesRedis
from worker.telemetry.logs import get_logger
from worker.telemetry.sentry import report_vanished

LOOK_EVERY_SECONDS = 2.0
TELL_EVERY_MS = 3_600_000

_LOOK = """
local AHEAD, TELL_EVERY = tonumber(ARGV[2]), tonumber(ARGV[3])
if redis.call('EXISTS', KEYS[1]) == 0 then return { 0, 0, '' } end

local function fields(flat)
  local found = {}
  for i = 1, #flat, 2 do found[flat[i]] = flat[i + 1] end
  return found
end

local function numbers(...)
  local found = redis.call('HMGET', KEYS[2], ...)
  for i = 1, #found do found[i] = tonumber(found[i] or '0') end
  return unpack(found)
end

local function whole(number) return string.format('%.0f', number) end

local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local stream = fields(redis.call('XINFO', 'STREAM', KEYS[1]))
local groups, pending, ours = {}, 0, 0
for i, each in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local group = fields(each)
  groups[i], pending = group.name, pending + group.pending
  if group.name == ARGV[1] then ours = group.pending end
end
redis.call('PERSIST', KEYS[2]) -- needs no memory: a full Redis refuses only a script's first write, if that does

-- A negative number: the counters began at different times, as after an upgrade from Redis 6.2. They are reset.
if stream['entries-added'] then
  local missing = stream['entries-added'] - numbers('taken') - stream.length
  if missing < 0 then
    redis.call('HINCRBY', KEYS[2], 'taken', whole(missing))
  elseif missing > ours then
    redis.call('HINCRBY', KEYS[2], 'taken', whole(missing - ours))
    redis.call('HINCRBY', KEYS[2], 'vanished', whole(missing - ours))
    redis.call('HSET', KEYS[2], 'vanished_at', whole(now))
  end
end

-- The last id cannot be lowered, so the key is created anew with its groups, if it is empty and no entry is held.
local repaired, last = '', stream['last-generated-id']
if stream.length == 0 and pending == 0 and tonumber(last:match('^%d+')) - now > AHEAD then
  redis.call('DEL', KEYS[1])
  for _, group in ipairs(groups) do redis.call('XGROUP', 'CREATE', KEYS[1], group, '0', 'MKSTREAM') end
  redis.call('HSET', KEYS[2], 'taken', '0')
  repaired = last
end

local vanished, told, told_at = numbers('vanished', 'told', 'told_at')
if vanished > told and math.abs(now - told_at) >= TELL_EVERY then
  redis.call('HSET', KEYS[2], 'told', whole(vanished), 'told_at', whole(now))
  return { vanished - told, vanished, repaired }
end
return { 0, vanished, repaired }
"""

log = get_logger(__name__)


class StreamAccount:
    """Counts the entries of `stream` that the consumer group `group` takes in."""

    def __init__(self, client: BytesRedis, stream: str, group: str) -> None:
        self._redis = client
        self._stream, self._group = stream, group
        self._next_look = 0.0
        self._is_refused = False

    def step(self) -> None:
        """Check every LOOK_EVERY_SECONDS; all workers together report vanished entries at most once an hour.

        A refusal by Redis (full, or missing permissions) is logged once and holds up no event. Raises redis.RedisError
        otherwise.
        """
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + LOOK_EVERY_SECONDS
        arguments = self._group, AHEAD_MS, TELL_EVERY_MS
        try:
            found, total, repaired = self._redis.eval(_LOOK, 2, self._stream, account_key(self._stream), *arguments)
        except redis.ResponseError as error:
            if not self._is_refused:
                log.warning("stream_check_refused", stream=self._stream, reason=str(error))
            self._is_refused = True
            return
        self._is_refused = False
        if repaired:
            log.warning("stream_ids_repaired", stream=self._stream, last_id=repaired.decode())
        if found:
            log.error("stream_entries_vanished", stream=self._stream, count=found, total=total)
            report_vanished(stream=self._stream, count=found, total=total)
