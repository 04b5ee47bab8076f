"""Reads a Redis stream with a consumer group: record first, acknowledge after, delete with that.

Unlike a Redis list, a stream keeps an entry pending until it is acknowledged, so a reader that is killed
anywhere loses nothing: its entries are taken over by any other reader within seconds. Such entries are taken in
one by one and counted, because one of them may have killed it.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence

import redis

from worker.deliveries import Deliveries
from worker.errors import InvalidEvent, LedgerMismatch
from worker.intake import Intake
from worker.ledger.connection import BytesRedis
from worker.telemetry.logs import get_logger
from worker.telemetry.sentry import report_unexpected

GROUP = "nightly"
READ_AT_MOST = 200
READ_AT_FIRST = 10
READ_BYTES = 8_388_608
"""Entries are read so few at a time that this is not passed if all are as large as the largest of the last ones."""
TAKE_IN_BYTES = 262_144
"""Bodies are recorded and acknowledged in portions of about this size, so that none outlives the take-over time."""
BLOCK_MS = 300
"""A worker that stops waits for this at most; reading costs an idle Redis three commands a second."""
TAKE_OVER_AFTER_MS = 5000
"""An entry that a reader holds this long belongs to a dead reader. Recording twice is harmless."""
TAKE_OVER_EVERY_SECONDS = 2.0
GONE_MS = 86_400_000

_DONE = """
redis.call('XACK', KEYS[1], ARGV[1], unpack(ARGV, 2))
redis.call('XDEL', KEYS[1], unpack(ARGV, 2))
"""
"""Both or neither, and a full Redis lets it through: that is how it gets room again. A MULTI would be refused."""

log = get_logger(__name__)

Entry = tuple[bytes, Mapping[bytes, bytes]]


class EntryReader(ABC):
    """One reader of the group of `stream`; `name` must be unique among live readers."""

    stream: str
    field: bytes
    """Of an entry: what holds the body."""
    source: str
    """What a letter is told to have come from, where nothing else of it is known."""
    unreachable = "ledger_unreachable"
    """What the log says when Redis is away."""

    def __init__(
        self,
        client: BytesRedis,
        intake: Intake,
        deliveries: Deliveries,
        *,
        name: str,
        on_recorded: Callable[[], None],
    ) -> None:
        self._redis = client
        self._intake = intake
        self._deliveries = deliveries
        self._name = name
        self._on_recorded = on_recorded
        self._next_take_over = 0.0
        self._has_tidied_up = False
        self._held: list[Entry] = []
        self._suspects: list[Entry] = []
        self._in_hand = ""
        self._is_deadly = False
        self._at_most = READ_AT_FIRST

    @abstractmethod
    def _fresh(self) -> list[Entry]:
        """Return entries that no reader had yet, waiting a moment for them."""

    @abstractmethod
    def _record(self, bodies: Sequence[bytes]) -> None:
        """Take bodies in together: when it returns, whatever was in them is recorded, or kept for review."""

    def join(self) -> None:
        """Make the group if it is not there, from entry 0: what came before the first worker counts too."""
        try:
            self._redis.xgroup_create(self.stream, GROUP, id="0", mkstream=True)
        except redis.ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    def step(self) -> int:
        """Take in a portion of what there is, waiting a moment for it; returns how many entries. Raises RedisError.

        What Redis would not take is held, and tried again before anything else.
        """
        try:
            self._suspects = self._suspects or ([] if self._held else self._taken_over())
            self._held = self._held or ([] if self._suspects else self._measured(self._fresh()))
        except redis.ResponseError as error:
            if "NOGROUP" not in str(error):
                raise
            self.join()  # somebody deleted the stream, or Redis came back empty
            return 0
        return self._clear_up(self._suspects) + self._take_portion()

    def _take_portion(self) -> int:
        portion = _portion(self._held)
        count = len(portion)
        if count:
            self._take_in(portion)
            del self._held[:count]
            self._on_recorded()
        return count

    def _clear_up(self, suspects: list[Entry]) -> int:
        """Take in what a dead reader left, one by one: if one of them killed it, its neighbours go free."""
        count = len(suspects)
        while suspects:
            name = f"{self.source}:{suspects[0][0].decode()}"
            if name != self._in_hand:  # what Redis would not take is tried again, and nobody died of it
                self._is_deadly = self._deliveries.take_in_hand(name)
                self._in_hand = name
            if self._is_deadly:
                self._set_aside(suspects[0])
            else:
                self._take_in(suspects[:1])
            del suspects[0]
            self._deliveries.let_go(name)
        if count:
            self._on_recorded()
        return count

    def _set_aside(self, entry: Entry) -> None:
        body = entry[1].get(self.field)
        body = repr(dict(entry[1])).encode() if body is None else body
        self._intake.reject(InvalidEvent(Deliveries.REASON), source=self.source, body=body)
        self._acknowledge([entry])

    def forget_the_gone(self) -> None:
        """Take readers off the group that were silent for a day and hold nothing."""
        for reader in self._redis.xinfo_consumers(self.stream, GROUP):
            if reader["pending"] == 0 and reader["idle"] > GONE_MS:
                self._redis.xgroup_delconsumer(self.stream, GROUP, reader["name"])

    def _taken_over(self) -> list[Entry]:
        if time.monotonic() < self._next_take_over:
            return []
        reply = self._redis.xautoclaim(self.stream, GROUP, self._name, TAKE_OVER_AFTER_MS, "0-0", count=self._at_most)
        if not self._has_tidied_up:
            self.forget_the_gone()
            self._has_tidied_up = True
        entries = [entry for entry in reply[1] if entry[1]]
        if not entries:
            self._next_take_over = time.monotonic() + TAKE_OVER_EVERY_SECONDS
        return self._measured(entries)

    def _measured(self, entries: list[Entry]) -> list[Entry]:
        """Choose how many to read next: large entries must not make the worker large, and end it again and again."""
        if entries:
            largest = max(_size(entry) for entry in entries)
            self._at_most = max(1, min(READ_AT_MOST, 2 * self._at_most, READ_BYTES // max(1, largest)))
        return entries

    def _take_in(self, entries: Sequence[Entry]) -> None:
        bodies = []
        for _, fields in entries:
            body = fields.get(self.field)
            if body is None:
                error = InvalidEvent(f"{self.field.decode()}: the stream entry has no such field")
                self._intake.reject(error, source=self.source, body=repr(dict(fields)).encode())
            else:
                bodies.append(body)
        self._accept(bodies)
        self._acknowledge(entries)

    def _acknowledge(self, entries: Sequence[Entry]) -> None:
        self._redis.eval(_DONE, 1, self.stream, GROUP, *(entry_id for entry_id, _ in entries))

    def _accept(self, bodies: Sequence[bytes]) -> None:
        """Record bodies together. One that breaks us (a fault of ours) is set aside, so that it stops no other."""
        try:
            self._record(bodies)
        except (redis.RedisError, LedgerMismatch):
            raise  # Redis is away or full: the entries stay pending, and this is tried again
        except Exception as error:
            if len(bodies) > 1:
                for body in bodies:
                    self._accept([body])
                return
            log.exception("event_broke_intake")
            report_unexpected(error, where=self.source)
            reason = f"event: could not be taken in ({type(error).__name__})"
            self._intake.reject(InvalidEvent(reason), source=self.source, body=bodies[0])


def _portion(entries: Sequence[Entry]) -> Sequence[Entry]:
    size = 0
    for count, entry in enumerate(entries, start=1):
        size += _size(entry)
        if size >= TAKE_IN_BYTES:
            return entries[:count]
    return entries


def _size(entry: Entry) -> int:
    return sum(map(len, entry[1].values()))


def entries_of(reply: object) -> list[Entry]:
    """Read XREADGROUP's reply: pairs under RESP2, a mapping with one more list around under RESP3."""
    if isinstance(reply, Mapping):
        return [entry for pages in reply.values() for page in pages for entry in page]
    if isinstance(reply, list):
        return [entry for _, entries in reply for entry in entries]
    return []
