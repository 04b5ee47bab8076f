"""Counts the workers that died with one event in hand, and decides when the event is deadly.

Only what comes a second time is counted, before it is touched, and the count is deleted once the event was handled, so
in quiet times nothing is counted. An event is counted while it is in hand *alone*: one that was merely near when a
worker died, or comes again because a connection was lost, is not set aside with it.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import redis

from worker.redis_client.connect import BytesRedis
from worker.telemetry.logs import get_logger
from worker.vault.vault import Vault

DEATHS = 3
REMEMBERED_SECONDS = 86_400

log = get_logger(__name__)


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
            is_deadly = bool(name) and self.take_in_hand(name) >= DEATHS
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
