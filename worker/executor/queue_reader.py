"""Reads Celery's queue `account-events` where the broker is a Redis, in Celery's place (docs/adr/0009).

kombu takes a message out of its list before it secures it, and hands over one at a time. Here one script moves many
into a stream, pending for this reader; from there on they are entries like any other: recorded together, then
acknowledged, and taken over from a reader that died.
"""

from collections.abc import Callable, Container, Sequence
from importlib.resources import files
from typing import Any

import redis

from worker.deliveries import Deliveries
from worker.entries import BLOCK_MS, GROUP, READ_BYTES, Entry, EntryReader
from worker.errors import InvalidEvent
from worker.executor.broker import EVENTS_QUEUE, REFRESH_QUEUE
from worker.executor.envelope import readable
from worker.executor.messages import ForCelery, Foreign, read
from worker.intake import CeleryMessage, Intake
from worker.ledger.connection import BytesRedis
from worker.telemetry.logs import get_logger

TAKEN = "account-events:taken"
"""The stream. Like the queue, it holds loginIds in clear."""
NEXT = "account-events:next"
"""A list of at most one item for each worker that waited: one that came while all waited."""
SEPARATOR = "\x06\x16"
QUEUE_LISTS = (EVENTS_QUEUE, *(f"{EVENTS_QUEUE}{SEPARATOR}{priority}" for priority in (3, 6, 9)))
"""kombu's lists for one queue, most urgent first."""
_BINDING = f"_kombu.binding.{EVENTS_QUEUE}", SEPARATOR.join((EVENTS_QUEUE, "", EVENTS_QUEUE))
"""How kombu writes down that what is sent to this exchange belongs into this queue."""

_TAKE = files("worker.executor").joinpath("lua", "take.lua").read_text("utf-8")
_HAND_ON = "redis.call('DEL', KEYS[2]) redis.call('LPUSH', KEYS[1], ARGV[1])"
"""The first one writes nothing, but a full Redis lets a script finish that has begun to write."""

_WAITING = """
local count = redis.call('XLEN', KEYS[1])
for i = 2, #KEYS do count = count + redis.call('LLEN', KEYS[i]) end
return count
"""
"""At one instant, so that what is moved meanwhile is counted once."""

log = get_logger(__name__)


class QueueReader(EntryReader):
    """One worker's reader of Celery's queue."""

    stream = TAKEN
    field = b"message"
    source = "queue"
    unreachable = "redis_unreachable"  # the broker or the ledger

    def __init__(
        self,
        client: BytesRedis,
        intake: Intake,
        deliveries: Deliveries,
        *,
        name: str,
        on_recorded: Callable[[], None],
        tasks: Container[str],
    ) -> None:
        super().__init__(client, intake, deliveries, name=name, on_recorded=on_recorded)
        self._tasks = tasks
        self._is_idle = False
        self._is_full = False

    def join(self) -> None:
        """Make the group, and bind the queue as kombu would: a producer that declares nothing relies on it."""
        super().join()
        self._redis.sadd(*_BINDING)

    def step(self) -> int:
        """As every reader's; a full Redis is told once, and so is that it has room again."""
        try:
            count = super().step()
        except redis.ResponseError as error:
            self._refused(error)
            raise
        if count and self._is_full:
            log.info("broker_has_room")
            self._is_full = False
        return count

    def _refused(self, error: redis.ResponseError) -> None:
        if _is(error, redis.exceptions.ReadOnlyError, "READONLY"):  # the next call finds the new primary
            self._redis.connection_pool.disconnect()
        if _is(error, redis.exceptions.OutOfMemoryError, "OOM"):
            if not self._is_full:
                log.warning("broker_full", doing="intake waits, and nothing is dropped")
            self._is_full = True

    def _fresh(self) -> list[Entry]:
        """Move what there is, at once after a wait: the wait and the script are one round trip."""
        with self._redis.pipeline(transaction=False) as pipeline:
            if self._is_idle:
                pipeline.blmove(EVENTS_QUEUE, NEXT, BLOCK_MS / 1000, "RIGHT", "LEFT")
            keys = (TAKEN, NEXT, *QUEUE_LISTS)
            pipeline.eval(_TAKE, len(keys), *keys, GROUP, self._name, self._at_most, READ_BYTES)
            *waited, reply = pipeline.execute(raise_on_error=False)
        refused = [error for error in (reply, *waited) if isinstance(error, Exception)]
        if refused and not isinstance(reply, list):  # what was read is taken in, whatever became of the wait
            raise refused[0]
        self._is_idle = not reply
        return _entries_of(reply)

    def _record(self, bodies: Sequence[bytes]) -> None:
        found = [read(body, EVENTS_QUEUE, self._tasks) for body in bodies]
        self._intake.accept_messages([each for each in found if isinstance(each, CeleryMessage)])
        for each in found:
            if isinstance(each, Foreign):
                self._intake.reject(InvalidEvent(each.reason), source=self.source, body=each.body)
            elif isinstance(each, ForCelery):
                item = readable(each.item, REFRESH_QUEUE)
                self._redis.eval(_HAND_ON, 2, REFRESH_QUEUE, "nightly:hand-on", item)


def waiting(client: BytesRedis) -> int:
    """Return how many Celery messages are in the queue, or taken out of it and not recorded yet."""
    return int(client.eval(_WAITING, 2 + len(QUEUE_LISTS), TAKEN, NEXT, *QUEUE_LISTS))


def _is(error: redis.ResponseError, kind: type[redis.ResponseError], code: str) -> bool:
    """Say whether Redis refused a command for this; of a command in a script, Redis 6.2 tells it in the text alone."""
    return isinstance(error, kind) or code in str(error)


def _entries_of(reply: Any) -> list[Entry]:
    """Read a script's reply, whose fields are a flat list of names and values."""
    if not reply:
        return []
    return [
        (entry_id, dict(zip(fields[::2], fields[1::2], strict=True)))
        for _, entries in reply
        for entry_id, fields in entries
    ]
