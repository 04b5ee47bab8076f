"""Probes Celery's broker for the watchdog: whether it accepts writes, and how many messages wait in its queues."""

import contextlib
from collections.abc import Iterable
from typing import Any

import redis
from amqp.exceptions import AMQPError
from kombu.exceptions import OperationalError

from worker.broker import rabbitmq as rabbit
from worker.broker.celery_config import redis_broker
from worker.config.settings import Settings
from worker.events.channels import REFRESH_QUEUE
from worker.redis_client.connect import BytesRedis, connect

PROBE_SECONDS = 60


class BrokerProbe:
    """Probes a Redis broker."""

    def __init__(self, client: BytesRedis) -> None:
        self._redis = client

    def queued(self, queues: Iterable[str]) -> int | None:
        """Return how many messages wait in these queues, or None if Redis is unreachable, full or a replica."""
        try:
            with self._redis.pipeline(transaction=False) as pipeline:
                pipeline.set("nightly:probe", "1", ex=PROBE_SECONDS)
                for name in queues:
                    pipeline.llen(name)
                return int(sum(pipeline.execute()[1:]))
        except redis.RedisError:
            return None

    def answers(self) -> bool:
        """Return whether Redis answers and accepts writes."""
        return self.queued(()) is not None


class RabbitProbe:
    """Probes RabbitMQ, which cannot report whether it would accept a message: any answer counts as healthy."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Any = None

    def queued(self, queues: Iterable[str]) -> int | None:
        """Return how many messages wait in these queues, or None if RabbitMQ is unreachable."""
        try:
            self._connection = self._connection or rabbit.connect(self._url)
            states = [rabbit.state_of(self._connection, name) for name in queues]
            return sum(state.waiting for state in states if state)
        except (AMQPError, OSError, OperationalError, AttributeError):  # AttributeError: the connection is closed
            self.close()
            return None

    def close(self) -> None:
        """Close the connection; the next probe opens a new one."""
        connection, self._connection = self._connection, None
        with contextlib.suppress(Exception):  # there is no connection, or closing a broken one fails
            connection.collect()

    def answers(self) -> bool:
        """Return whether RabbitMQ answers."""
        return self.queued((REFRESH_QUEUE,)) is not None


def probe_of(settings: Settings) -> BrokerProbe | RabbitProbe | None:
    """Return the probe of the broker."""
    if url := rabbit.rabbit_of(settings):
        return RabbitProbe(url)
    url = redis_broker(settings)
    return BrokerProbe(connect(url, name="nightly-watchdog")) if url else None
