"""The one policy for messages that are delivered again, or that break us: stream, RabbitMQ, tasks and consumer ask it.

A redelivered message may have killed the worker that had it, so it is handled alone, and counted before it is touched.

the message                                         what is done with it
--------------------------------------------------  --------------------------------------------------------------
delivered the first time                            handled with its neighbours, not counted
delivered again, one event                          counted, handled alone; set aside after DEATHS deaths
delivered again, a batch                            counted, split into its events; set aside after 2 * DEATHS deaths
delivered again, a batch that cannot be split       counted, handled alone
a redelivered message was handled                   its count is deleted
its worker stops, or loses its connection           its count is taken back: that is no death
the ledger is away, full, or lacks replicas         the message is held, or given back to its queue; never set aside
several messages raise anything else together       each is handled again alone
one message raises anything else                    reported as a fault of ours, and set aside
Celery cannot read it, or has no such task          set aside as foreign, within the limits of the review list

To set aside is to keep sealed on the review list, and then to acknowledge. A death is a worker that ended with the
message in hand.
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
    """What is done with a message that was delivered again."""

    ALONE = auto()
    SPLIT = auto()
    SET_ASIDE = auto()


def treatment(deaths: int, *, is_batch: bool = False) -> Treatment:
    """Return what is done with a message that `deaths` workers died with."""
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
    """Handle items together; after a fault of ours each alone, and set aside the one that breaks us, with a reason.

    Raises what is in `passes` (no fault: the caller keeps its messages), and what `set_aside` raises.
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
        log.exception("event_broke_intake")
        report_unexpected(error, where=where)
        set_aside(items[0], f"event: could not be taken in ({type(error).__name__})")


class Deliveries:
    """Counts in Redis, so that they outlive the worker; keys name nothing but a keyed hash or a stream entry's id."""

    REASON = f"event: the worker that took it in hand died, {DEATHS} times in a row"

    def __init__(self, client: BytesRedis, vault: Vault) -> None:
        self._redis = client
        self._vault = vault

    def take_in_hand(self, name: str) -> int:
        """Count one more delivery of `name` before it is touched; returns the deaths so far. Raises RedisError.

        The first delivery is not counted, so the count of deliveries is the count of workers that died.
        """
        with self._redis.pipeline() as pipeline:
            pipeline.incr(_key(name))
            pipeline.expire(_key(name), REMEMBERED_SECONDS)
            deaths, _ = pipeline.execute()
        return int(deaths)

    @contextmanager
    def in_hand(self, name: str) -> Iterator[bool]:
        """Count while something is handled, unless the name is empty; gives whether it should be left alone.

        Leaving the context takes the count back, because then the worker is alive. While Redis is away nothing is
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
        """Take one count back: this worker is alive, and gives the event to another delivery. Never raises."""
        if not name:
            return
        try:
            if int(self._redis.decr(_key(name))) <= 0:
                self._redis.delete(_key(name))
        except redis.RedisError as error:
            log.info("delivery_not_put_down", error=type(error).__name__)

    def let_go(self, name: str) -> None:
        """Delete the count: the event was handled, and this worker is alive. Never raises."""
        try:
            self._redis.delete(_key(name))
        except redis.RedisError as error:
            log.info("delivery_not_forgotten", error=type(error).__name__)

    def name_of(self, message_id: str, body: bytes) -> str:
        """Return the name under which a Celery message is counted: of its id and its bytes."""
        return self._vault.fingerprint(message_id, hashlib.sha256(body).hexdigest())


def _key(name: str) -> str:
    return f"nightly:in-hand:{name}"
