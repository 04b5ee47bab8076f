"""Measures the cost of publishing an event for its producer and Redis: worker.publish, batches, Celery."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from celery import Celery

from benchmarks.meter import cpu_seconds
from benchmarks.system import System
from worker import publish
from worker.events.publisher import publish_many


@dataclass(frozen=True)
class Pace:
    """Events a second, and CPU microseconds per event, of the measured process and of Redis."""

    rate: float
    own_us: float
    redis_us: float = 0.0


def publishing(system: System, events: int) -> dict[str, Pace]:
    """Return the pace of each way to publish, and delete the published events."""
    url = system.stack.environment["REDIS_URL"]
    producer = Celery("producer", broker=url, set_as_current=False)

    def one_by_one(count: int) -> None:
        for event in events_of(count):
            kind = "linked" if event["type"] == "account.linked" else "inactive"
            publish(kind, login_id=event["login_id"], occurred_at=event["occurred_at"], redis_url=url)

    def by_celery(count: int) -> None:
        for event in events_of(count):
            keywords = {"login_id": event["login_id"], "occurred_at": event["occurred_at"]}
            producer.send_task(event["type"], kwargs=keywords, queue="account-events")

    ways: dict[str, tuple[Callable[[int], object], int]] = {
        "worker.publish, one by one": (one_by_one, events // 10),
        "worker.events.publisher.publish_many": (lambda count: publish_many(events_of(count), redis_url=url), events),
        "the same, sealed": (
            lambda count: publish_many(
                events_of(count), redis_url=url, seal_to=str(system.services.vault.public_keys[0])
            ),
            events,
        ),
        "Celery's send_task": (by_celery, events // 10),
    }
    paces = {}
    for name, (way, count) in ways.items():
        way(10)  # connections
        began, cpu_began, redis_began = time.monotonic(), time.process_time(), cpu_seconds([system.redis_pid])
        way(count)
        took, own = time.monotonic() - began, time.process_time() - cpu_began
        paces[name] = Pace(
            count / took, own / count * 1e6, (cpu_seconds([system.redis_pid]) - redis_began) / count * 1e6
        )
    system.redis.delete("account-events:stream", "account-events")
    return paces


def events_of(count: int) -> Iterator[dict[str, str]]:
    """Return `count` events of new logins as flat objects, one in four of them inactive."""
    at = datetime.now(UTC).isoformat()
    for number in range(count):
        kind = "account.inactive" if number % 4 == 0 else "account.linked"
        yield {"type": kind, "login_id": str(uuid4()), "occurred_at": at}
