"""Measures the latency of an event on an idle system, from publishing to the PATCH at Flinks.

Nightly (by stream, by Celery message and over HTTP) and naive Celery take turns in blocks, on one Redis and one stub.
"""

import random
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from celery import Celery

from benchmarks import http_producer
from benchmarks.stub import Stub
from benchmarks.system import System, open_system
from benchmarks.tables import quantile, table, verdict
from benchmarks.trace import Trace, follow
from sandbox.stack.waiting import wait_until
from worker import publish

EVENTS, BLOCKS, TRACED = 200, 4, 60
PAUSE_SECONDS = (0.05, 0.25)
WITHIN_SECONDS = 10.0
GOALS = ((0.5, 8), (0.99, 5))
"""Quantile, and how many times shorter than naive Celery's it should be at least."""
STEPS = (
    ("xadd", ""),
    ("record", ""),
    ("settle_and_claim", ""),
)
STAGES = (
    "publish called -> XADD at Redis",
    "XADD -> record",
    "record -> claim",
    "claim -> PATCH at the stub",
)

Send = Callable[[str], object]


def run(folder: Path, *, events: int = EVENTS, blocks: int = BLOCKS, traced: int = TRACED, delay_ms: float = 0) -> str:
    """Measure `events` per contender in `blocks` turns, then trace some; Flinks answers after `delay_ms`."""
    with Stub(folder) as stub, open_system(folder, stub.url) as system:
        worker, _ = system.start_worker(), system.start_plain_worker()
        contenders = _contenders(system)
        for send in contenders.values():  # opens connections, and makes the first call, which goes alone
            _block(stub, send, 5, delay_ms)
        taken: dict[str, list[float]] = {name: [] for name in contenders}
        for turn in range(blocks):
            names = list(contenders)
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                taken[name] += _block(stub, contenders[name], events // blocks, delay_ms)
        stages = _traced(stub, system, contenders["Nightly, stream"], traced)
        assert worker.is_running  # noqa: S101 - figures of a dead worker are worthless
    return _report(taken, stages, events // blocks * blocks)


def _contenders(system: System) -> dict[str, Send]:
    """Return the function with which each contender's producer sends one event."""
    ours = Celery("producer", broker=system.stack.environment["REDIS_URL"], set_as_current=False)
    plain = Celery("plain-producer", broker=system.plain_url, set_as_current=False)
    url = system.stack.environment["REDIS_URL"]

    def by_celery(login_id: str) -> None:
        keywords = {"login_id": login_id, "occurred_at": datetime.now(UTC).isoformat()}
        ours.send_task("account.linked", kwargs=keywords, queue="account-events")

    return {
        "Nightly, stream": lambda login_id: publish("linked", login_id=login_id, redis_url=url),
        "Nightly, Celery message": by_celery,
        "Nightly, HTTP": http_producer.start(system),
        "naive Celery": lambda login_id: plain.send_task("plain.refresh", kwargs={"login_id": login_id}, queue="plain"),
    }


def _block(stub: Stub, send: Send, count: int, delay_ms: float) -> list[float]:
    """Send events at random times; returns the milliseconds from each event to its call, infinite if none came."""
    wait_until(lambda: stub.answered() >= stub.count(), seconds=WITHIN_SECONDS)  # a reset drops waiting calls
    stub.reset(delay_ms=delay_ms)
    sent_us = _send(send, count)
    called_us = _first_calls(stub, sent_us)
    return [(called_us.get(login, float("inf")) - at) / 1000 for login, at in sent_us.items()]


def _send(send: Send, count: int) -> dict[str, int]:
    sent_us = {}
    for _ in range(count):
        time.sleep(random.uniform(*PAUSE_SECONDS))
        login_id = str(uuid4())
        sent_us[login_id] = time.monotonic_ns() // 1000
        send(login_id)
    return sent_us


def _first_calls(stub: Stub, wanted: Iterable[str]) -> dict[str, int]:
    """Wait for a call of each of these logins; returns the time of the first call of every login."""

    def found() -> dict[str, int]:
        first: dict[str, int] = {}
        for call in stub.calls():
            first.setdefault(call.login_id, call.at_us)
        return first

    wait_until(lambda: found().keys() >= set(wanted), seconds=WITHIN_SECONDS, every_seconds=0.1)
    return found()


def _traced(stub: Stub, system: System, send: Send, count: int) -> list[list[float]]:
    """Return for each stage its milliseconds, for every event with a complete trace."""
    stub.reset()
    with Trace(system.redis) as trace:
        sent_us = _send(send, count)
        called_us = _first_calls(stub, sent_us)
    stages: list[list[float]] = [[] for _ in STAGES]
    for login, at_us in sent_us.items():
        moments = [at_us, *follow(trace.steps, STEPS, at_us), called_us.get(login)]
        known = [moment for moment in moments if moment is not None]
        if len(known) == len(moments) and known == sorted(known):
            for stage, begun, ended in zip(stages, known, known[1:], strict=False):
                stage.append((ended - begun) / 1000)
    return stages


def _report(taken: Mapping[str, Sequence[float]], stages: Sequence[Sequence[float]], count: int) -> str:
    rows = [
        (name, *(f"{quantile(values, share):.1f}" for share in (0.5, 0.9, 0.99, 1)), values.count(float("inf")))
        for name, values in taken.items()
    ]
    text = f"## Latency on an idle system, {count} events each, ms\n\n"
    text += table(("way", "p50", "p90", "p99", "max", "never came"), rows) + "\n"
    for share, goal in GOALS:
        ours, naive = (quantile(taken[name], share) for name in ("Nightly, stream", "naive Celery"))
        line = f"p{share * 100:.0f} {ours:.1f} ms, naive Celery's {naive / ours:.1f} times that, goal at least {goal}"
        text += verdict(line, is_met=ours * goal <= naive)
    text += f"\nTime by stage ({len(stages[0])} traced events by the stream, under MONITOR):\n\n"
    return text + table(
        ("stage", "median ms", "p99 ms"),
        [
            (stage, f"{statistics.median(values):.2f}", f"{quantile(values, 0.99):.2f}")
            for stage, values in zip(STAGES, stages, strict=True)
            if values
        ],
    )
