"""Reads `account-events:stream` with a consumer group: record first, acknowledge after, delete last.

Unlike a Redis list, a stream keeps an entry pending until it is acknowledged, so a reader that is killed
anywhere loses nothing: its entries are taken over by any other reader within seconds.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import redis

from worker.errors import InvalidEvent
from worker.intake import Intake
from worker.ledger.connection import BytesRedis
from worker.ledger.views import STREAM
from worker.telemetry.logs import get_logger
from worker.telemetry.sentry import report_unexpected

GROUP = "nightly"
FIELD = b"event"
READ_AT_MOST = 500
BLOCK_MS = 1000
TAKE_OVER_AFTER_MS = 5000
"""An entry that a reader holds this long belongs to a dead reader. Recording twice is harmless."""
TAKE_OVER_EVERY_SECONDS = 2.0

log = get_logger(__name__)

Entry = tuple[bytes, Mapping[bytes, bytes]]


class StreamReader:
    """One reader of the group; `name` must be unique among live readers."""

    def __init__(self, client: BytesRedis, intake: Intake, *, name: str, on_recorded: Callable[[], None]) -> None:
        self._redis = client
        self._intake = intake
        self._name = name
        self._on_recorded = on_recorded
        self._next_take_over = 0.0

    def join(self) -> None:
        """Make the group if it is not there. From entry 0: what came before the first worker counts too."""
        try:
            self._redis.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
        except redis.ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    def step(self) -> int:
        """Take in what there is, waiting up to a second for it; returns the number of entries. Raises RedisError."""
        try:
            entries = self._taken_over() or self._fresh()
        except redis.ResponseError as error:
            if not str(error).startswith("NOGROUP"):
                raise
            self.join()  # somebody deleted the stream, or Redis came back empty
            return 0
        if entries:
            self._take_in(entries)
        return len(entries)

    def leave(self) -> None:
        """Leave the group, unless entries are still pending: those are for the others to take over."""
        mine = self._redis.xpending_range(STREAM, GROUP, "-", "+", 1, consumername=self._name)
        if not mine:
            self._redis.xgroup_delconsumer(STREAM, GROUP, self._name)

    def _fresh(self) -> list[Entry]:
        reply = self._redis.xreadgroup(GROUP, self._name, {STREAM: ">"}, count=READ_AT_MOST, block=BLOCK_MS)
        return list(_entries_of(reply))

    def _taken_over(self) -> list[Entry]:
        if time.monotonic() < self._next_take_over:
            return []
        reply = self._redis.xautoclaim(STREAM, GROUP, self._name, TAKE_OVER_AFTER_MS, "0-0", count=READ_AT_MOST)
        entries = [entry for entry in reply[1] if entry[1]]
        if not entries:
            self._next_take_over = time.monotonic() + TAKE_OVER_EVERY_SECONDS
        return entries

    def _take_in(self, entries: Sequence[Entry]) -> None:
        bodies = []
        for _, fields in entries:
            body = fields.get(FIELD)
            if body is None:
                error = InvalidEvent("event: the stream entry has no such field")
                self._intake.reject(error, source="stream", body=repr(dict(fields)).encode())
            else:
                bodies.append(body)
        self._accept(bodies)
        ids = [entry_id for entry_id, _ in entries]
        with self._redis.pipeline() as pipeline:
            pipeline.xack(STREAM, GROUP, *ids)
            pipeline.xdel(STREAM, *ids)
            pipeline.execute()
        self._on_recorded()

    def _accept(self, bodies: Sequence[bytes]) -> None:
        """Record bodies together. One that breaks us (a fault of ours) is set aside, so that it stops no other."""
        try:
            self._intake.accept_bodies(bodies)
        except redis.RedisError:
            raise  # Redis is away or full: the entries stay pending, and this is tried again
        except Exception as error:
            if len(bodies) > 1:
                for body in bodies:
                    self._accept([body])
                return
            log.exception("event_broke_intake")
            report_unexpected(error, where="stream")
            reason = f"event: could not be taken in ({type(error).__name__})"
            self._intake.reject(InvalidEvent(reason), source="stream", body=bodies[0])


def _entries_of(reply: object) -> Iterable[Entry]:
    """Read XREADGROUP's reply: pairs under RESP2, a mapping with one more list around under RESP3."""
    if isinstance(reply, Mapping):
        return [entry for pages in reply.values() for page in pages for entry in page]
    if isinstance(reply, list):
        return [entry for _, entries in reply for entry in entries]
    return []
