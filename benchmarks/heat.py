"""Runs one heat: one contender works off one backlog, on a Redis of its own, against the stub; measured from outside.

The backlog is published first. Then the contender's processes start, and the heat ends when the stub has answered
a call for every login, or when its time is up. Nothing of it is left running.
"""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.backlog import Wish, backlog
from benchmarks.entries import ROOT, Entry
from benchmarks.figures import Tally, tally
from benchmarks.meter import Meter, cpu_seconds, family
from benchmarks.stub import Stub
from worker.embedded import EmbeddedRedis, ManagedProcess, OrphanGuard, wait_until
from worker.errors import EmbeddedStackError
from worker.settings import OWN_PREFIXES, Settings

LOOK_SECONDS = 0.1
AFTERMATH_SECONDS = 0.5
"""What is acknowledged or settled after the last answer is paid for too."""
START_LOOK_SECONDS = 0.3
START_SECONDS = 20.0
PUBLISH_SECONDS = 120.0


@dataclass(frozen=True)
class Heat:
    """What one contender did once. CPU is in seconds for the whole of it, less what starting took; memory in MiB."""

    entry: str
    delay_ms: int
    events: int
    limit: int
    ending: str
    """Empty when every login was called in time."""
    tally: Tally
    worker_cpu: float
    redis_cpu: float
    stub_cpu: float
    peak_mib: float
    peak_process_mib: float
    most_in_hand: int


class Track:
    """Where heats are run: a folder, the stub, and a guard that ends what a killed race would leave."""

    def __init__(self, folder: Path, stub: Stub, guard: OrphanGuard) -> None:
        self._folder, self._stub, self._guard = folder, stub, guard
        self._start_costs: dict[str, tuple[float, float]] = {}

    def run(self, entry: Entry, delay_ms: int, *, seconds: float) -> Heat:
        """Run one heat of about so many seconds; never raises for what the contender does wrong."""
        start_cost = self._cost_of_start(entry, delay_ms)
        wishes = list(backlog(entry.events(delay_ms, seconds)))
        with self._lane(entry, delay_ms) as lane:
            lane.publish(len(wishes))
            self._stub.reset(delay_ms=delay_ms)
            redis_before, stub_before = cpu_seconds([lane.redis.pid]), self._stub.cpu_seconds()
            pids = lane.start()
            with Meter(*pids) as meter:
                ending = lane.wait(wishes, self._stub, seconds=4 * seconds + START_SECONDS)
                workers = _cpu_of(pids)
            return Heat(
                entry=entry.name,
                delay_ms=delay_ms,
                events=len(wishes),
                limit=entry.most_in_flight(delay_ms),
                ending=ending,
                tally=tally(wishes, self._stub.calls()),
                worker_cpu=workers - start_cost[0],
                redis_cpu=cpu_seconds([lane.redis.pid]) - redis_before - start_cost[1],
                stub_cpu=self._stub.cpu_seconds() - stub_before,
                peak_mib=meter.peak_mib,
                peak_process_mib=meter.peak_process_mib,
                most_in_hand=self._stub.most_in_hand(),
            )

    def _cost_of_start(self, entry: Entry, delay_ms: int) -> tuple[float, float]:
        """Return the CPU seconds that the contender and Redis take while it starts with nothing to do: once a race."""
        if entry.name not in self._start_costs:
            with self._lane(entry, delay_ms) as lane:
                redis_before = cpu_seconds([lane.redis.pid])
                pids = lane.start()
                workers = _cpu_until_started(pids)
                self._start_costs[entry.name] = workers, cpu_seconds([lane.redis.pid]) - redis_before
        return self._start_costs[entry.name]

    @contextmanager
    def _lane(self, entry: Entry, delay_ms: int) -> "Iterator[Lane]":
        with ExitStack() as exits:
            folder = Path(exits.enter_context(TemporaryDirectory(dir=self._folder)))
            redis = exits.enter_context(EmbeddedRedis(folder, guard=self._guard))
            lane = Lane(entry, folder, redis, self._guard, _environment(entry, redis.url, self._stub.url, delay_ms))
            exits.callback(lane.stop)
            yield lane


class Lane:
    """One contender's Redis and processes during one heat."""

    def __init__(
        self, entry: Entry, folder: Path, redis: EmbeddedRedis, guard: OrphanGuard, environment: dict[str, str]
    ) -> None:
        self._entry, self._folder, self._guard, self._environment = entry, folder, guard, environment
        self._processes: list[ManagedProcess] = []
        self.redis = redis

    def publish(self, count: int) -> None:
        """Have the contender's own producer publish the backlog; raises EmbeddedStackError."""
        argv = [part.replace("{count}", str(count)) for part in self._entry.publish]
        producer = self._process("producer", argv if "{count}" in self._entry.publish else [*argv, str(count)]).start()
        try:
            has_ended = wait_until(lambda: not producer.is_running, seconds=PUBLISH_SECONDS)
            if not has_ended or producer.exit_code:
                raise EmbeddedStackError(f"the producer of {self._entry.name} failed:\n{producer.tail()}")
        finally:
            producer.stop(0)

    def start(self) -> list[int]:
        """Start the contender's processes; return their ids."""
        for number, argv in enumerate(self._entry.processes, 1):
            filled = [part.replace("{half}", self._environment["BENCH_WINDOW"]) for part in argv]
            self._processes.append(self._process(f"process-{number}", filled).start())
        return [process.pid for process in self._processes]

    def wait(self, wishes: Sequence[Wish], stub: Stub, *, seconds: float) -> str:
        """Wait until every login was called and answered, and a moment more; return why not, else nothing."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)
            if stub.answered() >= len(wishes) and not tally(wishes, stub.calls()).missing:
                time.sleep(AFTERMATH_SECONDS)
                return ""
            ended = next((process for process in self._processes if not process.is_running), None)
            if ended:
                return f"{ended.name} ended with {ended.exit_code}: {ended.tail(5)}"
        return f"not done after {seconds:g} s"

    def stop(self) -> None:
        """End all processes at once: their Redis goes with them, so there is nothing to finish."""
        for process in self._processes:
            process.stop(0)

    def _process(self, name: str, argv: Sequence[str]) -> ManagedProcess:
        return ManagedProcess(
            f"{self._entry.name}, {name}",
            [str(self._entry.python), *argv],
            env=self._environment,
            log_path=self._folder / f"{name}.log",
            cwd=self._folder,
            guard=self._guard,
        )


def _environment(entry: Entry, redis_url: str, stub_url: str, delay_ms: int) -> dict[str, str]:
    """Return the contender's environment: nothing of ours or of Celery's is inherited from whoever runs the race."""
    ours = {name.upper() for name in Settings.model_fields}
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ours and not name.startswith((*OWN_PREFIXES, "CELERY_", "VIRTUAL_ENV"))
    }
    limit = entry.most_in_flight(delay_ms)
    filled = {
        name: value.format(redis=redis_url, stub=stub_url, limit=limit) for name, value in entry.environment.items()
    }
    return (
        kept
        | filled
        | {
            "PYTHONPATH": str(ROOT),
            "BENCH_REDIS_URL": redis_url,
            "BENCH_STUB_URL": stub_url,
            "BENCH_WINDOW": str(max(1, limit // 2)),
        }
    )


def _cpu_of(pids: Sequence[int]) -> float:
    return cpu_seconds({member for pid in pids for member in family(pid)})


def _cpu_until_started(pids: Sequence[int]) -> float:
    """Wait until the processes have started, and return the CPU seconds that took.

    A start is busy; once less than a fifth of a core is used for two looks, it was over at the first of them. What a
    contender takes while it waits for work (some poll) is not part of its start; 0 for one that never comes to rest.
    """
    deadline = time.monotonic() + START_SECONDS
    seen: list[float] = []
    while time.monotonic() < deadline:
        time.sleep(START_LOOK_SECONDS)
        seen.append(_cpu_of(pids))
        is_calm = len(seen) > 2 and seen[-1] - seen[-3] < 2 * START_LOOK_SECONDS / 5  # noqa: PLR2004 - two looks back
        if is_calm and seen[-3] > 0:
            return seen[-3]
    return 0.0
