"""The one policy for redelivered and failing messages, for the stream, RabbitMQ, the tasks and Celery's consumer.

A redelivered message may have killed its worker, so it is counted before it is touched, and handled alone.

the message                                         treatment
--------------------------------------------------  --------------------------------------------------------------
delivered the first time                            handled with its neighbours, not counted
delivered again, one event                          counted, handled alone; set aside after DEATHS deaths
delivered again, a batch                            counted, split into its events; set aside after 2 * DEATHS deaths
delivered again, a batch that cannot be split       counted, handled alone
a redelivered message was handled                   its count is deleted
its worker stops, or loses its connection           its count is decreased again: that is no death
the ledger is away, full, or lacks replicas         held, or returned to its queue; never set aside
several messages raise anything else together       each is handled again alone
one message raises anything else                    reported as a bug in Nightly, and set aside
Celery cannot decode it, or has no such task        set aside as foreign, within the limits of the review list

To set aside is to keep the message sealed on the review list, then to acknowledge it. A death is a worker that ended
while it handled the message.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum, auto
from typing import TypeVar

import redis

from worker.ledger import LEDGER_UNAVAILABLE
from worker.redis_client.connect import BytesRedis
from worker.telemetry.logs import get_logger
from worker.telemetry.sentry import report_unexpected
from worker.vault.vault import Vault

DEATHS = 3
REMEMBERED_SECONDS = 86_400
_Item = TypeVar("_Item")

log = get_logger(__name__)


class Treatment(Enum):
    """How a redelivered message is handled."""

    ALONE = auto()
    SPLIT = auto()
    SET_ASIDE = auto()


def treatment(deaths: int, *, is_batch: bool = False) -> Treatment:
    """Return how to handle a message after `deaths` workers died with it."""
    if deaths >= (2 * DEATHS if is_batch else DEATHS):
        return Treatment.SET_ASIDE
    return Treatment.SPLIT if deaths and is_batch else Treatment.ALONE


def handle_or_set_aside(
    items: Sequence[_Item],
    handle: Callable[[Sequence[_Item]], object],
    set_aside: Callable[[_Item, str], object],
    *,
    where: str,
    passes: tuple[type[BaseException], ...] = LEDGER_UNAVAILABLE,
) -> None:
    """Handle items together; if that raises, handle each alone, and set aside those that raise again, with a reason.

    Raises the exceptions in `passes` (the caller keeps its messages), and what `set_aside` raises.
    """
    try:
        handle(items)
    except passes:
        raise
    except Exception as error:
        if len(items) > 1:
            for item in items:
                handle_or_set_aside([item], handle, set_aside, where=where, passes=passes)
            return
        log.exception("event_failed_unexpectedly")
        report_unexpected(error, where=where)
        set_aside(items[0], f"event: could not be recorded ({type(error).__name__})")


class Deliveries:
    """Counts redeliveries in Redis, where they outlive the worker; a key holds a keyed hash or a stream entry's id."""

    REASON = f"event: the worker that handled it died, {DEATHS} times in a row"

    def __init__(self, client: BytesRedis, vault: Vault) -> None:
        self._redis = client
        self._vault = vault

    def take_in_hand(self, name: str) -> int:
        """Count one more delivery of `name` before it is handled; returns the deaths so far. Raises RedisError.

        The first delivery is not counted, so the count equals the number of workers that died.
        """
        with self._redis.pipeline() as pipeline:
            pipeline.incr(_key(name))
            pipeline.expire(_key(name), REMEMBERED_SECONDS)
            deaths, _ = pipeline.execute()
        return int(deaths)

    @contextmanager
    def in_hand(self, name: str) -> Iterator[bool]:
        """Count a delivery while it is handled, unless the name is empty; yields whether to set the message aside.

        Leaving the context decreases the count, because then the worker is alive. While Redis is away nothing is
        counted.
        """
        is_deadly = False
        try:
            is_deadly = bool(name) and treatment(self.take_in_hand(name)) is Treatment.SET_ASIDE
        except redis.RedisError:
            name = ""
        try:
            yield is_deadly
        finally:
            self.put_down(name)

    def put_down(self, name: str) -> None:
        """Decrease the count: this worker is alive, and the event will be delivered again. Never raises."""
        if not name:
            return
        try:
            if int(self._redis.decr(_key(name))) <= 0:
                self._redis.delete(_key(name))
        except redis.RedisError as error:
            log.info("redelivery_count_not_updated", error=type(error).__name__)

    def let_go(self, name: str) -> None:
        """Delete the count: the event was handled, and this worker is alive. Never raises."""
        try:
            self._redis.delete(_key(name))
        except redis.RedisError as error:
            log.info("redelivery_count_not_updated", error=type(error).__name__)

    def name_of(self, message_id: str, body: bytes) -> str:
        """Return the name that counts a Celery message: a keyed hash of its id and its bytes."""
        return self._vault.fingerprint(message_id, hashlib.sha256(body).hexdigest())


def _key(name: str) -> str:
    return f"nightly:in-hand:{name}"
