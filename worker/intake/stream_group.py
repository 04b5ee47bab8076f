"""One reader's part in a stream's consumer group: heartbeat, take-over, acknowledgement and removal of entries.

A reader is alive while its heartbeat, a Redis key with an expiry, exists. Its own steps renew it, and so does a thread
of its worker once a second, so a slow reader keeps its entries for as long as it needs. The entries of a dead reader
are claimed one at a time, without their bodies, because one of them may have killed it.
"""

import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import redis

from worker.ledger.stream_state import LARGEST_MS, account_key
from worker.redis_client.connect import BytesRedis

Entry = tuple[bytes, Mapping[bytes, bytes], int]
"""Id, fields, and the size of the fields in bytes."""

GROUP = "nightly"
TAKE_OVER_AFTER_MS = 5000
"""A reader silent for this long is dead. Too low: a busy machine looks dead. Too high: events of dead readers wait."""
LOOK_EVERY_SECONDS = 2.0
OVERSIZE_KEPT_MS = 90 * 86_400_000
GONE_MS = 86_400_000
LARGEST_ID = f"{LARGEST_MS}-{LARGEST_MS}".encode()
"""The largest possible id; Redis refuses to list entries after it."""
PAGE = 100
ALIVE, LEFT = b"alive", b"left"
LEFT_KEPT_MS = 86_400_000
"""Until then another reader has taken over the entries of one that left, or no worker runs."""

_FETCH = """
local found = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])
if not found[1] then return false end
local fields, size = found[1][2], 0
for _, part in ipairs(fields) do size = size + #part end
if size > tonumber(ARGV[2]) then return size end
return fields
"""
"""Measures inside Redis, so that an entry that is too large is never sent to a worker."""

_DONE = """
local acknowledged = redis.call('XACK', KEYS[1], ARGV[1], unpack(ARGV, 2))
local deleted = redis.call('XDEL', KEYS[1], unpack(ARGV, 2))
local taken = math.max(acknowledged, deleted)
if taken > 0 then redis.call('HINCRBY', KEYS[2], 'taken', taken) end
"""
"""Acknowledges and deletes atomically. A full Redis runs it, and so gets room again; it would refuse a MULTI."""

_GONE = """
if redis.call('XACK', KEYS[1], ARGV[1], ARGV[2]) == 0 then return end
local time = redis.call('TIME')
redis.call('HINCRBY', KEYS[2], 'taken', 1)
redis.call('HINCRBY', KEYS[2], 'vanished', 1)
redis.call('HSET', KEYS[2], 'vanished_at', time[1] .. '000')
"""

_SPLIT = """
local about = redis.call('XINFO', 'STREAM', KEYS[1])
for i = 1, #about, 2 do
  if about[i] == 'last-generated-id' and about[i + 1]:match('^%d+') == ARGV[4] then return 0 end
end
for i = 5, #ARGV do redis.call('XADD', KEYS[1], '*', ARGV[3], ARGV[i]) end
redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
redis.call('XDEL', KEYS[1], ARGV[2])
redis.call('HINCRBY', KEYS[2], 'taken', 1)
return 1
"""
"""Checks first whether the stream has reached its largest id and takes no entry: a script must not fail half-way."""

_MOVE_ASIDE = """
local found = redis.call('XRANGE', KEYS[1], ARGV[2], ARGV[2])
local fields = found[1] and found[1][2] or {}
for i = 1, #fields, 2 do redis.call('HSET', KEYS[2], fields[i], fields[i + 1]) end
redis.call('PEXPIRE', KEYS[2], ARGV[3])
redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
redis.call('XDEL', KEYS[1], ARGV[2])
redis.call('HINCRBY', KEYS[3], 'taken', 1)
"""

_FORGET = """
if #redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2]) > 0 then return 0 end
return redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
"""
"""Deleting a consumer drops its pending entries. Before Redis 7.2, one whose reads find nothing counts as idle."""


@dataclass(slots=True)
class Suspect:
    """A claimed entry that may have killed its reader."""

    id: bytes
    is_orphan: bool
    """Its reader died. False: the reader left in good order, or the reply to our own read was lost."""
    deaths: int | None = None
    """Readers that died while they handled it; None: not counted yet."""


class EntryGroup:
    """The group of `stream` for the reader `name`. Every method raises RedisError."""

    def __init__(self, client: BytesRedis, stream: str, name: str) -> None:
        self._redis = client
        self._stream, self._name = stream, name
        self._account = account_key(stream)
        self._found: deque[Suspect] = deque()
        self._found_until = 0.0
        self._next_look = 0.0
        self._next_beat = 0.0

    def join(self) -> None:
        """Create the group if it is missing, from entry 0, so that entries older than the first worker count too."""
        self.beat()
        try:
            self._redis.xgroup_create(self._stream, GROUP, id="0", mkstream=True)
        except redis.ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    def beat(self) -> None:
        """Renew the heartbeat, at most five times in TAKE_OVER_AFTER_MS."""
        now = time.monotonic()
        if now < self._next_beat:
            return
        life_ms = max(TAKE_OVER_AFTER_MS, 1)
        with suppress(redis.ResponseError):  # a full Redis refuses SET, not PEXPIRE; reading frees memory
            if not self._redis.pexpire(self._heartbeat(self._name), life_ms):
                self._redis.set(self._heartbeat(self._name), ALIVE, px=life_ms)
        self._next_beat = now + life_ms / 5000

    def leave(self) -> None:
        """Sign off in good order: others may take over held entries, and none of them has killed this reader."""
        self._redis.set(self._heartbeat(self._name), LEFT, px=LEFT_KEPT_MS)

    def claim_next(self) -> Suspect | None:
        """Claim one entry of a dead reader, or one of our own that a lost reply held; None: there is none.

        Call it only while this reader holds no entry. A lookup is used for half of TAKE_OVER_AFTER_MS: an entry that
        another live reader has claimed since is then not idle long enough to be claimed again.
        """
        now = time.monotonic()
        if now >= self._found_until:
            self._found.clear()
        if not self._found and now >= self._next_look:
            self._found_until = now + TAKE_OVER_AFTER_MS / 2000
            self._found.extend(self._look())
            if not self._found:
                self._next_look = time.monotonic() + LOOK_EVERY_SECONDS
        while self._found:
            suspect = self._found.popleft()
            idle_ms, name = TAKE_OVER_AFTER_MS, self._name
            if self._redis.xclaim(self._stream, GROUP, name, idle_ms, [suspect.id], justid=True):
                return suspect
        return None

    def fetch(self, entry_id: bytes, *, at_most_bytes: int) -> Mapping[bytes, bytes] | int | None:
        """Return an entry's fields, its size where that is larger than `at_most_bytes`, or None if it was deleted."""
        found = self._redis.eval(_FETCH, 1, self._stream, entry_id, at_most_bytes)
        if isinstance(found, list):
            return dict(zip(found[::2], found[1::2], strict=True))
        return None if found is None else int(found)

    def acknowledge(self, entry_ids: Sequence[bytes]) -> None:
        """Acknowledge and delete entries; harmless for entries that are gone."""
        if entry_ids:
            self._redis.eval(_DONE, 2, self._stream, self._account, GROUP, *entry_ids)

    def give_up(self, entry_id: bytes) -> None:
        """Acknowledge an entry that was deleted before its body was read, and count it as vanished."""
        self._redis.eval(_GONE, 2, self._stream, self._account, GROUP, entry_id)

    def replace(self, entry_id: bytes, field: bytes, bodies: Sequence[bytes]) -> bool:
        """Replace an entry by a new one for each body, all or nothing; False: the stream takes no new entry."""
        arguments = GROUP, entry_id, field, LARGEST_MS, *bodies
        return bool(self._redis.eval(_SPLIT, 2, self._stream, self._account, *arguments))

    def oversize_key(self, entry_id: bytes) -> str:
        """Return the key that `move_aside` moves an entry to."""
        return f"{self._stream}:oversize:{entry_id.decode()}"

    def move_aside(self, entry_id: bytes) -> None:
        """Move an entry to a key of its own, a hash, for 90 days, inside Redis."""
        keys = self._stream, self.oversize_key(entry_id), self._account
        self._redis.eval(_MOVE_ASIDE, 3, *keys, GROUP, entry_id, OVERSIZE_KEPT_MS)

    def forget_the_gone(self) -> None:
        """Remove readers from the group that were silent for a day and hold no entry."""
        for reader in self._redis.xinfo_consumers(self._stream, GROUP):
            if reader["pending"] == 0 and reader["idle"] > GONE_MS:
                self._redis.eval(_FORGET, 1, self._stream, GROUP, reader["name"])

    def _look(self) -> Iterator[Suspect]:
        """Yield the pending entries of dead readers and our own, page by page, past entries that were trimmed."""
        start: bytes | str = "-"
        while True:
            idle_ms = max(TAKE_OVER_AFTER_MS, 0)
            page = self._redis.xpending_range(self._stream, GROUP, start, "+", PAGE, idle=idle_ms)
            heartbeats = self._heartbeats({entry["consumer"] for entry in page})
            for entry in page:
                is_ours = entry["consumer"] == self._name.encode()
                heartbeat = heartbeats[entry["consumer"]]
                if is_ours or heartbeat != ALIVE:
                    yield Suspect(entry["message_id"], is_orphan=not is_ours and heartbeat != LEFT)
            if len(page) < PAGE or page[-1]["message_id"] == LARGEST_ID:
                return
            start = b"(" + page[-1]["message_id"]

    def _heartbeats(self, names: set[bytes]) -> Mapping[bytes, bytes | None]:
        ordered = sorted(names)
        with self._redis.pipeline(transaction=False) as pipeline:
            for name in ordered:
                pipeline.get(self._heartbeat(name.decode("utf-8", "surrogateescape")))
            return dict(zip(ordered, pipeline.execute(), strict=True))

    def _heartbeat(self, name: str) -> str:
        return f"nightly:reader:{self._stream}:{name}"


def entries_of(reply: object) -> list[Entry]:
    """Return the entries in XREADGROUP's reply: pairs in RESP2, a mapping with one more level of lists in RESP3."""
    if isinstance(reply, Mapping):
        return [entry_of(*entry) for pages in reply.values() for page in pages for entry in page]
    if isinstance(reply, list):
        return [entry_of(*entry) for _, entries in reply for entry in entries]
    return []


def entry_of(entry_id: bytes, fields: Mapping[bytes, bytes]) -> Entry:
    """Return an entry with its size."""
    return entry_id, fields, sum(map(len, fields.keys())) + sum(map(len, fields.values()))
