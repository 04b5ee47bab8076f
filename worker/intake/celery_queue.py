"""Reads Celery's queue `account-events` on a Redis broker in Celery's place; records events and rejects all else.

kombu pops a message from its list before it secures it, and delivers one at a time (docs/adr/0009). Here one script
moves many into a stream. Then they are entries like any other: recorded together, then acknowledged, and taken over
from a dead reader. `celery_message.py` decides what is an event, and why anything else is rejected: kept as a dead
letter.
"""

from collections.abc import Callable, Sequence
from importlib.resources import files

import redis

from worker.broker.celery_config import KOMBU_SEPARATOR
from worker.errors import InvalidEvent
from worker.events.channels import EVENTS_QUEUE
from worker.intake.accept import Intake, Rejection
from worker.intake.celery_message import Foreign, read_item
from worker.intake.messages import CeleryMessage
from worker.intake.poison import Deliveries
from worker.intake.redis_stream import BLOCK_MS, READ_BYTES, EntryReader
from worker.intake.stream_group import GROUP, Entry, entries_of
from worker.redis_client.connect import BytesRedis
from worker.telemetry.logs import get_logger

TAKEN = "account-events:taken"
"""The stream that messages are moved to. Like the queue, it holds loginIds in clear."""
NEXT = "account-events:next"
"""A list with the item that ended a worker's wait; at most one item for each worker."""
QUEUE_LISTS = (EVENTS_QUEUE, *(f"{EVENTS_QUEUE}{KOMBU_SEPARATOR}{priority}" for priority in (3, 6, 9)))
"""kombu's lists for one queue, most urgent first."""
_BINDING = f"_kombu.binding.{EVENTS_QUEUE}", KOMBU_SEPARATOR.join((EVENTS_QUEUE, "", EVENTS_QUEUE))
"""kombu's record that messages to this exchange go to this queue."""
_NOTHING = "account-events:nothing"
"""An unused key. Deleting it needs no memory, and a full Redis completes a script whose first write it accepted."""
_MOVE = files("worker.intake").joinpath("move_to_stream.lua").read_text("utf-8")

log = get_logger(__name__)


class QueueReader(EntryReader):
    """One worker's reader of Celery's queue."""

    stream = TAKEN
    field = b"message"
    source = "queue"
    reads = EVENTS_QUEUE
    unreachable = "redis_unreachable"  # the broker or the ledger

    def __init__(
        self,
        client: BytesRedis,
        intake: Intake,
        deliveries: Deliveries,
        *,
        name: str,
        on_recorded: Callable[[], None],
    ) -> None:
        super().__init__(client, intake, deliveries, name=name, on_recorded=on_recorded)
        self._is_idle = False
        self._is_full = False

    def join(self) -> None:
        """Create the group, and bind the queue as kombu would, for producers that declare nothing."""
        super().join()
        self._redis.sadd(*_BINDING)

    def step(self) -> int:
        """Take in a portion, as every reader does; logs once that Redis is full, and once that it has room again."""
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
                log.warning("broker_full", effect="intake waits; no message is dropped")
            self._is_full = True

    def _fresh(self) -> list[Entry]:
        """Move and read items in one round trip, which waits for one if the last round found none."""
        with self._redis.pipeline(transaction=False) as pipeline:
            if self._is_idle:
                pipeline.blmove(EVENTS_QUEUE, NEXT, BLOCK_MS / 1000, "RIGHT", "LEFT")
            keys = (TAKEN, _NOTHING, NEXT, *QUEUE_LISTS)
            pipeline.eval(_MOVE, len(keys), *keys, self._at_most, READ_BYTES)
            pipeline.xreadgroup(GROUP, self._name, {TAKEN: ">"}, count=self._at_most)
            replies = pipeline.execute(raise_on_error=False)
        found = entries_of(replies[-1])
        refused = [reply for reply in reversed(replies) if isinstance(reply, Exception)]
        if refused and not found:  # items that were read are recorded even if another command failed
            raise refused[0]
        self._is_idle = not found
        return found

    def _record(self, bodies: Sequence[bytes]) -> None:
        found = [read_item(body, EVENTS_QUEUE) for body in bodies]
        self._intake.accept_messages([each for each in found if isinstance(each, CeleryMessage)])
        foreign = [each for each in found if isinstance(each, Foreign)]
        self._intake.reject(Rejection(InvalidEvent(each.reason), self.source, each.body) for each in foreign)


def _is(error: redis.ResponseError, kind: type[redis.ResponseError], code: str) -> bool:
    """Say whether an error is of this kind; for a command in a script, Redis 6.2 says so in the text alone."""
    return isinstance(error, kind) or code in str(error)
