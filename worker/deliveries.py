"""Decides when an event is deadly: the worker that took it in hand died, several times in a row.

Only what comes a second time is counted, before it is touched, and forgotten when that ended well, so in quiet
times nothing is counted at all. An event is counted while it is in hand *alone*: one that was merely near when a
worker died, or comes again because a connection was lost, is not set aside with it.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import redis

from worker.ledger.connection import BytesRedis
from worker.seal import Vault
from worker.telemetry.logs import get_logger

DEATHS = 3
REMEMBERED_SECONDS = 86_400

log = get_logger(__name__)


class Deliveries:
    """Counts in Redis, so that they outlive the worker; keys name nothing but a keyed hash or a stream entry's id."""

    REASON = f"event: the worker that took it in hand died, {DEATHS} times in a row"

    def __init__(self, client: BytesRedis, vault: Vault) -> None:
        self._redis = client
        self._vault = vault

    def take_in_hand(self, name: str) -> bool:
        """Count, before it is touched, that something came once more; True: leave it alone. Raises RedisError.

        What touched it the first time was not counted, so a count of DEATHS means that it outlived as many.
        """
        with self._redis.pipeline() as pipeline:
            pipeline.incr(_key(name))
            pipeline.expire(_key(name), REMEMBERED_SECONDS)
            count, _ = pipeline.execute()
        return int(count) >= DEATHS

    @contextmanager
    def in_hand(self, name: str) -> Iterator[bool]:
        """Count while something is handled, unless the name is empty; gives whether it should be left alone.

        Whoever comes out of this lives, and takes its count back. While Redis is away nobody can count.
        """
        is_deadly = False
        try:
            is_deadly = bool(name) and self.take_in_hand(name)
        except redis.RedisError:
            name = ""
        try:
            yield is_deadly
        finally:
            self._put_down(name)

    def _put_down(self, name: str) -> None:
        if not name:
            return
        try:
            if int(self._redis.decr(_key(name))) <= 0:
                self._redis.delete(_key(name))
        except redis.RedisError as error:
            log.info("delivery_not_put_down", error=type(error).__name__)

    def let_go(self, name: str) -> None:
        """Forget the count: whatever became of it, the worker lives."""
        try:
            self._redis.delete(_key(name))
        except redis.RedisError as error:
            log.info("delivery_not_forgotten", error=type(error).__name__)

    def name_of(self, message_id: str, body: bytes) -> str:
        """Return the name under which a Celery message is counted: of its id and its bytes."""
        return self._vault.fingerprint(message_id, hashlib.sha256(body).hexdigest())


def _key(name: str) -> str:
    return f"nightly:in-hand:{name}"
