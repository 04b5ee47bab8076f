"""Runs one heat: one contender processes one backlog on its own Redis against the stub, measured from outside.

The backlog is published first. Then the contender's processes start. The heat ends when the stub has answered a call
for every login, or when time is up. Nothing is left running.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks.backlog import Wish, backlog
from benchmarks.contender_list import Entry
from benchmarks.contender_stack import ContenderStack, environment
from benchmarks.figures import Tally, tally
from benchmarks.meter import Meter, cpu_seconds, family
from benchmarks.stub import Stub
from sandbox.stack import EmbeddedRedis, OrphanGuard
from worker.errors import EmbeddedStackError

START_LOOK_SECONDS = 0.3
START_SECONDS = 20.0


@dataclass(frozen=True)
class Heat:
    """The result of one heat. CPU: seconds for the whole heat, less those of a start; memory in MiB."""

    entry: str
    delay_ms: int
    events: int
    limit: int
    ending: str
    """Empty when every login was called in time."""
    tally: Tally
    worker_cpu: float = 0
    parent_cpu: float = 0
    """The part of `worker_cpu` that the started processes took themselves, without their children."""
    redis_cpu: float = 0
    stub_cpu: float = 0
    peak_mib: float = 0
    peak_process_mib: float = 0
    most_in_hand: int = 0

    def cpu_us(self, seconds: float) -> float:
        """Return CPU seconds of this heat as microseconds for each call that was made."""
        return seconds / max(1, self.tally.calls) * 1e6


class _Cpu(NamedTuple):
    """CPU seconds: the started processes alone, these with their descendants, and Redis."""

    parents: float
    workers: float
    redis: float = 0.0


class Track:
    """Runs heats in a folder against the stub; the guard kills processes that a killed race would leave."""

    def __init__(self, folder: Path, stub: Stub, guard: OrphanGuard) -> None:
        self._folder, self._stub, self._guard = folder, stub, guard
        self._start_costs: dict[str, _Cpu] = {}

    def run(self, entry: Entry, delay_ms: int, *, seconds: float) -> Heat:
        """Run one heat of about `seconds`. A contender's failure is recorded in `ending`, not raised."""
        wishes = list(backlog(entry.events(delay_ms, seconds)))
        self._stub.reset(delay_ms=delay_ms)
        try:
            start_cost = self._cost_of_start(entry, delay_ms)
            with self._contender_stack(entry, delay_ms) as stack:
                stack.publish(len(wishes))
                return self._measured(stack, wishes, delay_ms, start_cost, seconds=4 * seconds + START_SECONDS)
        except EmbeddedStackError as error:
            nothing = tally(wishes, [])
            return Heat(entry.name, delay_ms, len(wishes), entry.most_in_flight(delay_ms), str(error), nothing)

    def _measured(
        self,
        stack: ContenderStack,
        wishes: Sequence[Wish],
        delay_ms: int,
        start_cost: _Cpu,
        *,
        seconds: float,
    ) -> Heat:
        redis_before, stub_before = cpu_seconds([stack.redis.pid]), self._stub.cpu_seconds()
        pids = stack.start()
        with Meter(*pids) as meter:
            ending = stack.wait(wishes, self._stub, seconds=seconds)
            cpu = _cpu_of(pids)
        return Heat(
            entry=stack.entry.name,
            delay_ms=delay_ms,
            events=len(wishes),
            limit=stack.entry.most_in_flight(delay_ms),
            ending=ending,
            tally=tally(wishes, self._stub.calls(), delay_ms=delay_ms),
            worker_cpu=cpu.workers - start_cost.workers,
            parent_cpu=cpu.parents - start_cost.parents,
            redis_cpu=cpu_seconds([stack.redis.pid]) - redis_before - start_cost.redis,
            stub_cpu=self._stub.cpu_seconds() - stub_before,
            peak_mib=meter.peak_mib,
            peak_process_mib=meter.peak_process_mib,
            most_in_hand=self._stub.most_in_hand(),
        )

    def _cost_of_start(self, entry: Entry, delay_ms: int) -> _Cpu:
        """Measure once a race the CPU seconds of the contender and of Redis during a start with nothing to do."""
        if entry.name not in self._start_costs:
            with self._contender_stack(entry, delay_ms) as stack:
                redis_before = cpu_seconds([stack.redis.pid])
                pids = stack.start()
                started = _cpu_until_started(pids)
                redis = cpu_seconds([stack.redis.pid]) - redis_before
                self._start_costs[entry.name] = started._replace(redis=redis)
        return self._start_costs[entry.name]

    @contextmanager
    def _contender_stack(self, entry: Entry, delay_ms: int) -> Iterator[ContenderStack]:
        with ExitStack() as exits:
            folder = Path(exits.enter_context(TemporaryDirectory(dir=self._folder)))
            redis = exits.enter_context(EmbeddedRedis(folder, guard=self._guard, tcp=True))
            stack = ContenderStack(
                entry, folder, redis, self._guard, environment(entry, redis.url, self._stub.url, delay_ms)
            )
            exits.callback(stack.stop)
            yield stack


def _cpu_of(pids: Sequence[int]) -> _Cpu:
    parents = cpu_seconds(pids)
    return _Cpu(parents, parents + cpu_seconds({member for pid in pids for member in family(pid)} - set(pids)))


def _cpu_until_started(pids: Sequence[int]) -> _Cpu:
    """Wait until the processes have started, and return the CPU seconds of the start.

    A start keeps a core busy. If two intervals in a row use less than a fifth of a core, the start ended before them.
    CPU used to wait for work (some contenders poll) does not count. Returns 0 for one that never calms down.
    """
    deadline = time.monotonic() + START_SECONDS
    seen: list[_Cpu] = []
    while time.monotonic() < deadline:
        time.sleep(START_LOOK_SECONDS)
        seen.append(_cpu_of(pids))
        before = seen[-3].workers if len(seen) > 2 else 0  # noqa: PLR2004 - two looks back
        if before and seen[-1].workers - before < 2 * START_LOOK_SECONDS / 5:
            return seen[-3]
    return _Cpu(0.0, 0.0)
