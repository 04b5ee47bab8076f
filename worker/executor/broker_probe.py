"""Asks Celery's broker what the watchdog wants to know: whether it takes writes, and what waits in its queues."""

from collections.abc import Iterable

import redis

from worker.executor.broker import redis_broker
from worker.ledger.connection import BytesRedis, connect
from worker.settings import Settings

PROBE_SECONDS = 60


class BrokerProbe:
    """Celery's broker as the watchdog asks it: does it answer and take writes, and what waits in its queues."""

    def __init__(self, client: BytesRedis) -> None:
        self._redis = client

    def queued(self, queues: Iterable[str]) -> int | None:
        """Return how many messages wait in these queues; None: it is away, full, or a replica."""
        try:
            with self._redis.pipeline(transaction=False) as pipeline:
                pipeline.set("nightly:probe", "1", ex=PROBE_SECONDS)
                for name in queues:
                    pipeline.llen(name)
                return int(sum(pipeline.execute()[1:]))
        except redis.RedisError:
            return None

    def answers(self) -> bool:
        """Whether it answers and takes writes."""
        return self.queued(()) is not None


def probe_of(settings: Settings) -> BrokerProbe | None:
    """Return the probe of the broker, if that is a Redis."""
    url = redis_broker(settings)
    return BrokerProbe(connect(url, name="nightly-watchdog")) if url else None
