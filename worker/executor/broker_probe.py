"""Asks Celery's broker what the watchdog wants to know: whether it takes writes, and what waits in its queues."""

import redis

from worker.executor.broker import QUEUES
from worker.ledger.connection import BytesRedis, connect
from worker.settings import Settings

REDIS = ("redis://", "rediss://", "unix://", "sentinel://")
PROBE_SECONDS = 60


class BrokerProbe:
    """Celery's broker as the watchdog asks it: does it answer and take writes, and what waits in its queues."""

    def __init__(self, client: BytesRedis) -> None:
        self._redis = client

    def queued(self) -> int | None:
        """Return how many messages wait in our queues; None: it is away, full, or a replica."""
        try:
            with self._redis.pipeline(transaction=False) as pipeline:
                pipeline.set("nightly:probe", "1", ex=PROBE_SECONDS)
                for name in QUEUES:
                    pipeline.llen(name)
                return int(sum(pipeline.execute()[1:]))
        except redis.RedisError:
            return None

    def answers(self) -> bool:
        """Whether it answers and takes writes."""
        return self.queued() is not None


def probe_of(settings: Settings) -> BrokerProbe | None:
    """Return the probe of the broker, if that is a Redis."""
    secret = settings.broker_url or settings.redis_url
    url = secret.get_secret_value() if secret else ""
    return BrokerProbe(connect(url, name="nightly-watchdog")) if url.startswith(REDIS) else None
