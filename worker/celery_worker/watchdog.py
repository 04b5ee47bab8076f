"""Detects a worker that no longer makes progress, and ends it so that a supervisor starts another.

Each part of the worker has a counter. If one does not change during a minute of checks although it should, the worker
ends. An unreachable Redis, a closed gate and an empty queue are no reason to end it. The watchdog counts checks, not
seconds, so that a suspended machine does not look like a hung worker.
"""

import contextlib
import os
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from celery.worker import state

from worker.broker.probe import BrokerProbe, RabbitProbe
from worker.celery_worker.shutdown import EXIT_STUCK, Shutdown
from worker.telemetry.logs import get_logger
from worker.telemetry.sentry import report_stuck

LOOK_SECONDS = 5.0
STUCK_LOOKS = 12

log = get_logger(__name__)


class Progress:
    """The step counters of one worker's parent process. Each part increments its own; the watchdog reads all."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def made(self, part: str) -> None:
        """Count one step of a part."""
        self._counts[part] += 1

    def of(self, part: str) -> int:
        """Return the number of steps of a part."""
        return self._counts[part]


@dataclass
class Part:
    """A part that should make progress: `count` changes with each step, `is_expected` returns whether it should."""

    name: str
    count: Callable[[], object]
    is_expected: Callable[[], bool] = lambda: True
    last: object = None
    looks: int = 0

    def look(self) -> bool:
        """Check once; returns whether it made no progress for STUCK_LOOKS checks."""
        now = self.count()
        self.looks = self.looks + 1 if now == self.last and self.is_expected() else 0
        self.last = now
        return self.looks >= STUCK_LOOKS


class Watchdog:
    """Checks a worker's parts and the tasks in its pool every LOOK_SECONDS."""

    def __init__(
        self,
        parts: Sequence[Part],
        progress: Progress,
        shutdown: Shutdown,
        *,
        task_seconds: float,
        health_file: Path | None,
    ) -> None:
        self._parts = parts
        self._progress = progress
        self._shutdown = shutdown
        self._task_looks = task_seconds / LOOK_SECONDS
        self._health_file = health_file
        self._pulses = -1
        self._requests: WeakKeyDictionary[Any, int] = WeakKeyDictionary()  # not by id(), which may be reused

    def step(self) -> None:
        """Check once: touch the health file, or begin to end the worker."""
        if self._shutdown.is_stopping:
            return
        stuck = next((part.name for part in list(self._parts) if part.look()), None) or self._stuck_pool()
        if stuck:
            self._give_up(stuck)
        elif self._health_file:
            with contextlib.suppress(OSError):  # a full disk must not end the worker
                self._health_file.touch()

    def _stuck_pool(self) -> str | None:
        """Kill a child whose task takes too long; return "pool" if a task never starts."""
        pulses, self._pulses = self._pulses, self._progress.of("ledger")
        if pulses == self._pulses:
            return None  # no pulse: Redis is unreachable, and tasks wait for it
        present = {request: self._requests.get(request, 0) + 1 for request in _snapshot(state.reserved_requests)}
        self._requests = WeakKeyDictionary(present)
        active = set(_snapshot(state.active_requests))
        for request, looks in present.items():
            if request in active and looks > self._task_looks:
                self._kill_child(request)
                self._requests[request] = 0
                break
            if looks > 3 * self._task_looks:  # longer than the tasks before it may take
                return "pool"
        return None

    @staticmethod
    def _kill_child(request: Any) -> None:
        log.critical("child_stuck", task=request.name, child_pid=request.worker_pid)
        report_stuck(part="child")
        with contextlib.suppress(ProcessLookupError, TypeError):
            os.kill(request.worker_pid, signal.SIGKILL)

    def _give_up(self, part: str) -> None:
        log.critical("worker_stuck", part=part, seconds=STUCK_LOOKS * LOOK_SECONDS)
        report_stuck(part=part)
        state.should_stop = EXIT_STUCK  # type: ignore[assignment] # a warm shutdown, if Celery's loop still runs
        self._shutdown.begin(exit_code=EXIT_STUCK)


def _snapshot(requests: Any) -> list[Any]:
    """Copy a set that another thread changes."""
    while True:
        with contextlib.suppress(RuntimeError):
            return list(requests)


def celery_parts(worker: Any, broker: BrokerProbe | RabbitProbe) -> list[Part]:
    """Return Celery's parts: its event loop, its consumer (which should take waiting messages), and its queues.

    Call it when the worker starts: the queues that it consumes then are those that it must consume until it ends.
    """
    progress = worker.app.progress
    expected = tuple(worker.app.amqp.queues.consume_from)

    def has_room() -> bool:
        return len(state.reserved_requests) < int(worker.concurrency)

    def has_messages() -> bool:
        return bool(broker.queued(expected))

    return [
        Part("celery", lambda: progress.of("celery"), broker.answers),
        Part("consumer", lambda: progress.of("consumer"), lambda: has_room() and has_messages()),
        Part("queues", lambda: None, lambda: _asks_for_missing(worker.consumer, expected)),
    ]


def _asks_for_missing(consumer: Any, expected: Sequence[str]) -> bool:
    """Make Celery consume missing queues again; return whether there was one. Without a connection none is missing."""
    tasks = consumer.task_consumer
    if consumer.connection is None or tasks is None:
        return False
    missing = [name for name in expected if not tasks.consuming_from(name)]
    for name in missing:
        log.error("queue_not_consumed", queue=name)
        consumer.call_soon(consumer.add_task_queue, name)
    return bool(missing)
