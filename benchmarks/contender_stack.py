"""Runs one contender: publishes its backlog, starts its processes on its own Redis, waits for them and ends them.

Processes inherit the caller's environment without our settings and Celery's. Nothing is left running.
"""

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.backlog import Wish
from benchmarks.contender_list import Entry
from benchmarks.figures import tally
from benchmarks.stub import Stub
from sandbox.stack import EmbeddedRedis, ManagedProcess, OrphanGuard, wait_until
from worker.config.settings import Settings
from worker.config.unknown_names import OWN_PREFIXES
from worker.errors import EmbeddedStackError

LOOK_SECONDS = 0.1
AFTERMATH_SECONDS = 0.5
"""Time for acknowledging and settling after the last answer, whose CPU counts too."""
PUBLISH_SECONDS = 120.0


class ContenderStack:
    """One contender's Redis and processes during one heat."""

    def __init__(
        self, entry: Entry, folder: Path, redis: EmbeddedRedis, guard: OrphanGuard, environment: Mapping[str, str]
    ) -> None:
        self.entry, self._folder, self._guard, self._environment = entry, folder, guard, environment
        self._processes: list[ManagedProcess] = []
        self.redis = redis

    def publish(self, count: int) -> None:
        """Publish the backlog with the contender's own producer; raises EmbeddedStackError."""
        argv = [part.replace("{count}", str(count)) for part in self.entry.publish]
        producer = self._process("producer", argv if "{count}" in self.entry.publish else [*argv, str(count)]).start()
        try:
            has_ended = wait_until(lambda: not producer.is_running, seconds=PUBLISH_SECONDS)
            if not has_ended or producer.exit_code:
                raise EmbeddedStackError(f"the producer of {self.entry.name} failed:\n{producer.tail()}")
        finally:
            producer.stop(0)

    def start(self) -> list[int]:
        """Start the contender's processes; return their ids."""
        for number, argv in enumerate(self.entry.processes, 1):
            filled = [part.replace("{half}", self._environment["BENCH_WINDOW"]) for part in argv]
            self._processes.append(self._process(f"process-{number}", filled).start())
        return [process.pid for process in self._processes]

    def wait(self, wishes: Sequence[Wish], stub: Stub, *, seconds: float) -> str:
        """Wait until every login was called and answered, plus AFTERMATH_SECONDS; return "" or the failure."""
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
        """Kill all processes: their Redis is deleted too, so there is nothing to finish."""
        for process in self._processes:
            process.stop(0)

    def _process(self, name: str, argv: Sequence[str]) -> ManagedProcess:
        return ManagedProcess(
            f"{self.entry.name}, {name}",
            [str(self.entry.python), *argv],
            env=self._environment,
            log_path=self._folder / f"{name}.log",
            cwd=self._folder,
            guard=self._guard,
        )


def environment(entry: Entry, redis_url: str, stub_url: str, delay_ms: int) -> dict[str, str]:
    """Return the contender's environment: the caller's without our settings and Celery's variables."""
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
            "PYTHONPATH": str(entry.root),
            "BENCH_REDIS_URL": redis_url,
            "BENCH_STUB_URL": stub_url,
            "BENCH_WINDOW": str(max(1, limit // 2)),
        }
    )
