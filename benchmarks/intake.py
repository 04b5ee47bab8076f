"""Measures the rate of intake, from the stream and from Celery messages, and the cost of publishing an event.

A shut gate holds all calls back, so that only intake works. For comparison, plain Celery runs a task that does nothing,
in turn with Nightly, on the same Redis server and with the same producer.
"""

import multiprocessing
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import redis
from celery import Celery

from benchmarks.meter import cpu_seconds, family
from benchmarks.publishing import Pace, events_of, publishing
from benchmarks.system import INSTANCE, System, log_only_warnings, open_system
from benchmarks.tables import spread, table, verdict
from sandbox.stack.waiting import wait_until
from worker.broker.celery_config import default_concurrency
from worker.config.settings import Settings
from worker.events.preparation import Preparation
from worker.events.publisher import send
from worker.intake.poison import Deliveries
from worker.intake.redis_stream import StreamReader
from worker.ledger.audit import Actor
from worker.services import build_services
from worker.vault.sealed_box import SealingKey

EVENTS, MESSAGES, RUNS, TURNS = 50_000, 10_000, 5, 3
WITHIN_SECONDS = 120.0
STREAM_GOAL, CELERY_GOAL = 8_000, 3
FAR_AWAY = "http://127.0.0.1:9"
"""No server listens there, and no call is made: the gate is shut."""


def run(folder: Path, *, events: int = EVENTS, messages: int = MESSAGES, runs: int = RUNS, turns: int = TURNS) -> str:
    """Measure intake from `events` stream events and `messages` Celery messages; returns the report."""
    with open_system(folder, FAR_AWAY) as system:
        system.services.gate.close(INSTANCE, by=Actor("benchmark", "admin", "cli"), reason="intake alone")
        system.redis.sadd("nightly:instances", INSTANCE)
        published = publishing(system, events)
        single, sealed, hundreds = [], [], []
        for _ in range(runs):
            single.append(_from_stream(system, events, 1))
            sealed.append(_from_stream(system, events, 1, key=system.services.vault.public_keys[0]))
            hundreds.append(_from_stream(system, events, 100))
        celery: dict[str, list[Pace]] = {name: [] for name in _ways(system)}
        for _ in range(turns):
            for name, measure in _ways(system).items():
                celery[name].append(measure(messages))
    streams = {"1 event an entry": single, "the same, sealed": sealed, "100 events an entry": hundreds}
    return _report(published, streams, celery)


def _from_stream(system: System, events: int, in_an_entry: int, *, key: SealingKey | None = None) -> Pace:
    """Publish, sealed if `key` is given, then let one process read everything; returns its pace."""
    preparation = Preparation(system.redis, str(key) if key else None)
    bodies = [preparation.prepare(event)[1] for event in events_of(events)]
    if in_an_entry > 1:
        groups = [bodies[at : at + in_an_entry] for at in range(0, events, in_an_entry)]
        bodies = [b"[" + b",".join(group) + b"]" for group in groups]
    for at in range(0, len(bodies), 500):
        send(system.redis, bodies[at : at + 500])
    before, redis_before = system.tally(), cpu_seconds([system.redis_pid])
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        seconds, own = pool.apply_async(_read, (system.stack.settings(), len(bodies))).get(WITHIN_SECONDS)
    if (recorded := system.tally() - before) != events:
        raise AssertionError(f"{recorded} of {events} events were recorded")
    return Pace(events / seconds, own / events * 1e6, (cpu_seconds([system.redis_pid]) - redis_before) / events * 1e6)


def _read(settings: Settings, entries: int) -> tuple[float, float]:
    """Read the stream in this process as a worker's thread does; returns seconds and CPU seconds."""
    log_only_warnings()
    services = build_services(settings)

    def look_for_work() -> None:
        services.ledger.pulse(services.fingerprints, worker="benchmark")

    reader = StreamReader(
        services.redis,
        services.intake,
        Deliveries(services.redis, services.vault),
        name="benchmark",
        on_recorded=look_for_work,
    )
    reader.join()
    began, cpu_began = time.monotonic(), time.process_time()
    while entries > 0 and time.monotonic() < began + WITHIN_SECONDS:
        entries -= reader.step()
    return time.monotonic() - began, time.process_time() - cpu_began


def _ways(system: System) -> Mapping[str, Callable[[int], Pace]]:
    def plain(concurrency: int, prefetch: int) -> Callable[[int], Pace]:
        return lambda messages: _plain(system, messages, concurrency, prefetch)

    return {
        "Nightly, defaults": lambda messages: _nightly(system, messages),
        "plain Celery, 2 children, prefetch 4": plain(2, 4),
        "plain Celery, 2 children, prefetch 64": plain(2, 64),
    }


def _nightly(system: System, messages: int) -> Pace:
    producer = Celery("producer", broker=system.stack.environment["REDIS_URL"], set_as_current=False)
    for event in events_of(messages):
        keywords = {name: value for name, value in event.items() if name != "type"}
        producer.send_task(event["type"], kwargs=keywords, queue="account-events")
    before = system.tally()
    process = system.stack.start_worker(concurrency=default_concurrency(), ready=lambda _: system.tally() > before)
    pace = _between(system, process.pid, messages, lambda: system.tally() - before)
    system.stack.stop_process(process)
    return pace


def _plain(system: System, messages: int, concurrency: int, prefetch: int) -> Pace:
    producer = Celery("plain-producer", broker=system.plain_url, set_as_current=False)
    for event in events_of(messages):
        keywords = {name: value for name, value in event.items() if name != "type"}
        producer.send_task("plain.nothing", kwargs=keywords, queue="plain")
    system.stack.environment["BENCHMARK_PREFETCH"] = str(prefetch)
    with redis.Redis.from_url(system.plain_url) as broker:

        def done() -> int:
            return messages - int(broker.llen("plain")) - int(broker.hlen("unacked"))

        process = system.start_plain_worker(concurrency=concurrency, ready=lambda _: done() > 0)
        pace = _between(system, process.pid, messages, done)
        system.stack.stop_process(process)
    return pace


def _between(system: System, pid: int, messages: int, done: Callable[[], int]) -> Pace:
    """Return the pace between a fifth and four fifths of the messages."""
    marks = []
    for share in (0.2, 0.8):
        if not wait_until(lambda share=share: done() >= share * messages, seconds=WITHIN_SECONDS, every_seconds=0.005):  # type: ignore[misc] # bound at once
            raise AssertionError(f"only {done()} of {messages} messages within {WITHIN_SECONDS} s")
        marks.append((done(), time.monotonic(), cpu_seconds(family(pid)), cpu_seconds([system.redis_pid])))
    (first, began, own_before, redis_before), (last, ended, own, redis) = marks
    count = last - first
    wait_until(lambda: done() >= messages, seconds=WITHIN_SECONDS)
    return Pace(count / (ended - began), (own - own_before) / count * 1e6, (redis - redis_before) / count * 1e6)


def _row(name: str, paces: list[Pace]) -> tuple[str, ...]:
    return (
        name,
        spread([pace.rate for pace in paces]),
        spread([pace.own_us for pace in paces]),
        spread([pace.redis_us for pace in paces]),
    )


def _report(published: Mapping[str, Pace], streams: Mapping[str, list[Pace]], celery: Mapping[str, list[Pace]]) -> str:
    headings = ("way", "events/s", "own CPU us/event", "Redis CPU us/event")
    text = "## Intake alone, median (min - max)\n\nFrom the stream, by one process:\n\n"
    text += table(headings, [_row(name, paces) for name, paces in streams.items()])
    text += "\nCelery messages, between a fifth and four fifths of a full queue, by one worker:\n\n"
    text += table(headings, [_row(name, paces) for name, paces in celery.items()])
    text += "\nPublishing, by one process:\n\n"
    text += table(headings, [_row(name, [pace]) for name, pace in published.items()]) + "\n"
    rates = {name: statistics.median(pace.rate for pace in paces) for name, paces in {**streams, **celery}.items()}
    stream = rates["1 event an entry"]
    text += verdict(f"{stream:,.0f} events/s from the stream, goal {STREAM_GOAL:,}", is_met=stream >= STREAM_GOAL)
    best = max(rate for name, rate in rates.items() if name.startswith("plain"))
    ratio = rates["Nightly, defaults"] / best
    text += verdict(f"{ratio:.2f} of plain Celery's best for messages, goal {CELERY_GOAL}", is_met=ratio >= CELERY_GOAL)
    return text
