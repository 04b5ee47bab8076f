"""Producers that repeat each event until Redis has acknowledged it, and remember the acknowledged ones.

One sends through the stream (as `publish` does, with WAIT on request), the other sends Celery messages.
"""

import random
import threading
import time
import uuid
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

import redis
from celery import Celery
from kombu.exceptions import OperationalError

from worker.broker.celery_config import kombu_address
from worker.errors import NotReplicated
from worker.events.publisher import publish
from worker.redis_client.connect import connect

WAYS_IN = ("stream", "celery")
BEGIN = datetime(2026, 11, 22, 10, tzinfo=UTC)
CHURNED = 30
RETRY_SECONDS = 0.1
GIVE_UP_SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class Sent:
    """One acknowledged event."""

    login_id: str
    is_linked: bool
    occurred_at: datetime
    way: str


class Load:
    """Two producers in threads of their own, as a context manager; `finish` before leaving ends them."""

    def __init__(self, url: str, chance: random.Random, *, replicas: int, events_per_second: float) -> None:
        self._client = connect(url, name="producer")
        self._celery = _celery_for(url)
        self._chance, self._replicas, self._pause = chance, replicas, 2 / events_per_second
        self._churned = {way: [str(uuid.UUID(int=chance.getrandbits(128))) for _ in range(CHURNED)] for way in WAYS_IN}
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._produce, args=(way,), daemon=True) for way in WAYS_IN]
        self.acknowledged: list[Sent] = []
        self.repeated = 0
        self.abandoned = 0
        self.last_acknowledged_at = dict.fromkeys(WAYS_IN, 0.0)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.finish()
        self._client.close()
        self._celery.close()

    def finish(self) -> None:
        """Let each producer have its present event acknowledged, then end."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(GIVE_UP_SECONDS)

    def newest(self) -> Iterable[Sent]:
        """Return the newest acknowledged event of each login."""
        return {sent.login_id: sent for sent in self.acknowledged}.values()  # the times of a producer only increase

    def last_of(self, way: str) -> Sent:
        """Return the newest acknowledged event with a login of its own from this producer."""
        churned = self._churned[way]
        return next(sent for sent in reversed(self.acknowledged) if sent.way == way and sent.login_id not in churned)

    def _produce(self, way: str) -> None:
        chance = random.Random(self._chance.random())
        number = 0
        while not self._stopping.wait(self._pause):
            number += 1
            churns = chance.random() < 0.3
            login = chance.choice(self._churned[way]) if churns else str(uuid.UUID(int=chance.getrandbits(128)))
            sent = Sent(login, chance.random() < 0.5, BEGIN + timedelta(milliseconds=number), way)
            self._insist(sent, f"evt-{way}-{number}")

    def _insist(self, sent: Sent, event_id: str) -> None:
        send = self._through_stream if sent.way == "stream" else self._through_celery
        gives_up_at = time.monotonic() + GIVE_UP_SECONDS
        while time.monotonic() < gives_up_at:
            with suppress(redis.RedisError, NotReplicated, OperationalError, OSError):
                send(sent, event_id)
                self.acknowledged.append(sent)
                if sent.login_id not in self._churned[sent.way]:  # so `last_of` returns the newest one
                    self.last_acknowledged_at[sent.way] = time.monotonic()
                return
            self.repeated += 1
            time.sleep(RETRY_SECONDS)  # the retry interval of a producer, not a wait of the test
        self.abandoned += 1

    def _through_stream(self, sent: Sent, event_id: str) -> None:
        publish(
            "linked" if sent.is_linked else "inactive",
            login_id=sent.login_id,
            occurred_at=sent.occurred_at,
            event_id=event_id,
            client=self._client,
            replicas=self._replicas,
        )

    def _through_celery(self, sent: Sent, event_id: str) -> None:
        self._celery.send_task(
            "account.linked" if sent.is_linked else "account.inactive",
            kwargs={"login_id": sent.login_id, "occurred_at": sent.occurred_at.isoformat(), "event_id": event_id},
            queue="account-events",
            retry=False,
        )


def _celery_for(url: str) -> Celery:
    """Return a producer of another team, which knows only the address."""
    broker, options = kombu_address(url)
    app = Celery(broker=broker, set_as_current=False)
    app.conf.broker_transport_options = options
    return app
