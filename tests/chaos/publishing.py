"""Publishes like a producer with at-least-once delivery: an event that Redis did not confirm is sent again."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from typing import Self

import redis
from celery import Celery
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.chaos.traffic import Event, Parcel
from worker.broker.celery_config import kombu_address
from worker.events.channels import STREAM
from worker.vault.sealed_box import SealingKey

LOOK_SECONDS = 0.02
MOST_AT_ONCE = 50


class Publisher:
    """Sends parcels from a thread, limited by `pace`, which returns the part that may have been sent by now."""

    def __init__(self, url: str, parcels: Sequence[Parcel], pace: Callable[[], float], key: SealingKey) -> None:
        self._parcels, self._pace, self._key = parcels, pace, key
        self._redis = redis.Redis.from_url(url, socket_timeout=5, retry=Retry(NoBackoff(), 0))
        self._celery = Celery(broker=kombu_address(url)[0], set_as_current=False)
        self.sent = 0
        self.errors: Counter[str] = Counter()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="publisher")
        self._exits = ExitStack()

    @property
    def is_done(self) -> bool:
        return self.sent == len(self._parcels)

    def send_messages(self, events: Iterable[Event]) -> None:
        """Send Celery messages, each until the broker has confirmed it."""
        for event in events:
            while not self._stopping.is_set():
                try:
                    arguments = event.arguments(self._key)
                    self._celery.send_task(event.type, kwargs=arguments, queue="account-events", task_id=event.id)
                except Exception as error:  # noqa: BLE001 - any error of kombu for a lost broker: it was not confirmed
                    self.errors[type(error).__name__] += 1
                    time.sleep(LOOK_SECONDS)
                else:
                    break

    def __enter__(self) -> Self:
        self._exits.enter_context(self._redis)
        self._exits.enter_context(self._celery)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
        self._exits.close()

    def _run(self) -> None:
        while not self._stopping.is_set() and not self.is_done:
            allowed = min(int(self._pace() * len(self._parcels)), self.sent + MOST_AT_ONCE)
            if allowed <= self.sent:
                time.sleep(LOOK_SECONDS)
                continue
            self._send(self._parcels[self.sent : allowed])
            self.sent = allowed

    def _send(self, parcels: Sequence[Parcel]) -> None:
        while not self._stopping.is_set():
            try:
                with self._redis.pipeline(transaction=False) as pipeline:
                    for parcel in parcels:
                        if not parcel.is_celery:
                            pipeline.xadd(STREAM, {"event": parcel.body(self._key)})
                    pipeline.execute()
            except (redis.RedisError, OSError) as error:
                self.errors[type(error).__name__] += 1
                time.sleep(LOOK_SECONDS)
            else:
                break
        self.send_messages(parcel.events[0] for parcel in parcels if parcel.is_celery)
