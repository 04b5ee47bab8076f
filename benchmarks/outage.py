"""Measures an outage with 1,000,000 logins waiting for a retry: memory of workers, restarts of a worker and of Redis.

Every login has failed once. Then Flinks is down, the gate shuts, and single probe calls test whether Flinks is back.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.filling import fail, fill
from benchmarks.memory import MemoryWatch
from benchmarks.redis_cost import used_memory
from benchmarks.system import INSTANCE, NO_CEILING, System, open_system
from benchmarks.tables import spread, table, verdict
from benchmarks.unavailable_flinks import DownServer
from sandbox.stack.processes import ManagedProcess
from sandbox.stack.waiting import wait_until
from worker.broker.celery_config import default_concurrency

LOGINS, RESTARTS, WATCH_SECONDS = 1_000_000, 3, 60.0
WITHIN_SECONDS = 90.0
LEAD_SECONDS = 0.4
"""A worker is stopped this long before the next probe, so that its successor has to make the probe."""
MEMORY_GOAL, RESTART_GOAL_SECONDS = 0.02, 5.0


@dataclass(frozen=True)
class Restart:
    """Seconds from SIGTERM to: the old worker's end, the new worker's first pulse, and its probe call."""

    ended: float
    pulsed: float
    called: float


def run(folder: Path, *, logins: int = LOGINS, restarts: int = RESTARTS, seconds: float = WATCH_SECONDS) -> str:
    """Fill the ledger, fail every login, shut the gate, restart, watch; returns the report."""
    with DownServer() as down, open_system(folder, down.url, NO_CEILING) as system:
        empty, _ = used_memory(system.redis)
        took = {"recorded": fill(system, logins), "failed once": fail(system, logins)}
        each = (used_memory(system.redis)[0] - empty) / logins
        process = system.start_worker()
        if not wait_until(lambda: _gate(system, "outage") == b"1", seconds=WITHIN_SECONDS):
            raise AssertionError("the gate did not shut")
        found = []
        for _ in range(restarts):
            process, restart = _restart(system, down, process)
            found.append(restart)
        with MemoryWatch(process.pid) as memory:
            time.sleep(seconds)
        redis = _restart_redis(system)
        due = system.due()
    return _report(logins, took, each, found, memory, redis, due)


def _gate(system: System, name: str) -> bytes:
    return bytes(system.redis.hget(f"nightly:gate:{INSTANCE}", name) or b"")


def _restart(
    system: System, down: DownServer, process: ManagedProcess, *, tries: int = 3
) -> tuple[ManagedProcess, Restart]:
    """Stop the worker just before the next probe is due, and start another, which makes the probe.

    If the old worker still made the probe, because the stop came late, tries again.
    """
    asks_at = wait_until(lambda: _next_probe(system), seconds=WITHIN_SECONDS)
    wait_until(lambda: _now(system) >= asks_at - LEAD_SECONDS, seconds=WITHIN_SECONDS, every_seconds=0.01)
    before, known = len(down.asked_at), set(system.redis.hkeys("nightly:workers"))
    began = time.monotonic()
    system.stack.stop_process(process)
    ended = time.monotonic()
    if len(down.asked_at) > before and tries > 1:
        again = system.stack.start_worker(concurrency=default_concurrency())
        return _restart(system, down, again, tries=tries - 1)
    pulsed: list[float] = []

    def is_calling(_: ManagedProcess) -> bool:
        if not pulsed and set(system.redis.hkeys("nightly:workers")) - known:
            pulsed.append(time.monotonic())
        return len(down.asked_at) > before

    fresh = system.stack.start_worker(concurrency=default_concurrency(), ready=is_calling)
    return fresh, Restart(ended - began, pulsed[0] - began, down.asked_at[before] - began)


def _next_probe(system: System) -> float:
    """Return when the next probe is due, by Redis' clock; 0 while the last probe is not settled."""
    asks_at = int(_gate(system, "probe_at") or 0) / 1000
    return asks_at if asks_at > _now(system) + LEAD_SECONDS else 0


def _now(system: System) -> float:
    seconds, micros = system.redis.time()
    return float(seconds) + float(micros) / 1e6


def _restart_redis(system: System) -> Mapping[str, float]:
    """Rewrite the append-only file, as Redis does when it has doubled; kill Redis, and restart it on its data."""
    if system.stack.redis is None:
        raise AssertionError("a benchmark brings its own Redis")
    grown = _file_mb(system)
    began = time.monotonic()
    system.redis.bgrewriteaof()
    wait_until(lambda: not system.redis.info("persistence")["aof_rewrite_in_progress"], seconds=WITHIN_SECONDS)
    rewritten = time.monotonic() - began
    rewritten_mb = _file_mb(system)
    began = time.monotonic()
    system.stack.redis.restart()
    answered, clock = time.monotonic(), system.services.views.now_ms()
    wait_until(lambda: _pulse_ms(system) > clock, seconds=WITHIN_SECONDS)
    return {
        "grown_mb": grown,
        "rewritten": rewritten,
        "rewritten_mb": rewritten_mb,
        "answers": answered - began,
        "pulses": time.monotonic() - began,
    }


def _file_mb(system: System) -> float:
    return int(system.redis.info("persistence")["aof_current_size"]) / 1e6


def _pulse_ms(system: System) -> float:
    now = system.services.views.now_ms()
    silent = (float(about["silent_seconds"]) for about in system.services.views.workers(now))
    return now - 1000 * min(silent, default=float("inf"))


def _report(
    logins: int,
    took: Mapping[str, float],
    each: float,
    restarts: Sequence[Restart],
    memory: MemoryWatch,
    redis: Mapping[str, float],
    due: int,
) -> str:
    text = f"## An outage with {logins:,} logins that wait for a retry\n\n"
    text += f"Recorded in {took['recorded']:.0f} s, failed once each in {took['failed once']:.0f} s. "
    text += f"With one failed attempt in its history a login takes {each:.0f} bytes in Redis. "
    text += f"{due:,} were due at the end.\n\n"
    early, late = (memory.near(end, 5, lambda sample: sample.anonymous) for end in (0, 1))
    largest = memory.peak(lambda sample: sample.largest_pss)
    rows = [
        ("worker's anonymous memory (PSS), first 5 s, MiB", f"{early:.1f}"),
        (f"worker's anonymous memory, last 5 of {memory.samples[-1].at:.0f} s", f"{late:.1f}"),
        ("largest process, MiB (PSS)", f"{largest:.1f}"),
        ("restart of a worker: SIGTERM to its end, s", spread([restart.ended for restart in restarts], 2)),
        ("SIGTERM to the new worker's first pulse, s", spread([restart.pulsed for restart in restarts], 2)),
        ("SIGTERM to the new worker's probe call, s", spread([restart.called for restart in restarts], 2)),
        ("append-only file before the rewrite, MB", f"{redis['grown_mb']:,.0f}"),
        ("append-only file after the rewrite, MB", f"{redis['rewritten_mb']:,.0f}"),
        ("rewriting it, s", f"{redis['rewritten']:.1f}"),
        ("kill -9 of Redis until it answers, s", f"{redis['answers']:.1f}"),
        ("kill -9 of Redis until a worker pulses again, s", f"{redis['pulses']:.1f}"),
    ]
    text += table(("", "figure"), rows) + "\n"
    growth, slowest = late / early - 1, max(restart.called for restart in restarts)
    text += verdict(f"memory grows by {growth:+.2%}, goal 2 % at most", is_met=growth <= MEMORY_GOAL)
    return text + verdict(
        f"restart {slowest:.2f} s at most, goal under {RESTART_GOAL_SECONDS:g}", is_met=slowest < RESTART_GOAL_SECONDS
    )
