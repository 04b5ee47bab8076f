"""Ends a worker warmly if possible, and always within a time limit.

A flag in memory shared with the pool's children stops them from claiming, whether Redis answers or not. If the warm
shutdown exceeds the time limit, a thread kills the children and ends the process. Nothing is lost: leases expire, and
messages are delivered again after the visibility timeout.
"""

import contextlib
import mmap
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable
from enum import IntEnum

from worker.telemetry.logs import get_logger

MARGIN_SECONDS = 15.0
"""Time beyond one call's deadline, to settle, to stop the threads and to close connections."""
EXIT_STUCK = 70
EXIT_FORCED = 75

log = get_logger(__name__)


class Stage(IntEnum):
    """How far a worker's shutdown has come."""

    RUNNING = 0
    WARM = 1
    COLD = 2


class Shutdown:
    """The shutdown of one worker, created before the pool forks.

    `pids_of_children` is set if there is a pool, `wake_main` if the main thread has a loop that may sleep.
    """

    def __init__(self, *, within_seconds: float) -> None:
        self.within_seconds = within_seconds
        self.pids_of_children: Callable[[], Iterable[int]] = list
        self.wake_main: Callable[[], object] = lambda: None
        self._shared = mmap.mmap(-1, 1)
        self._has_deadline = False
        self._obeys_in = os.getpid()  # tasks of other pools than Celery's default run in the worker's own process

    @property
    def stage(self) -> Stage:
        """The stage, the same in the parent and in its children."""
        return Stage(self._shared[0])

    @property
    def is_stopping(self) -> bool:
        """Whether the worker must not take new work."""
        return self.stage > Stage.RUNNING

    def begin(self, stage: Stage = Stage.WARM, *, exit_code: int = EXIT_FORCED) -> None:
        """Begin the shutdown. If it is not complete in `within_seconds`, the process ends with `exit_code`."""
        self._shared[0] = max(stage, self.stage)
        if not self._has_deadline:
            self._has_deadline = True
            threading.Thread(target=self._force, args=(exit_code,), name="deadline", daemon=True).start()

    def obey_in_child(self) -> None:
        """In a child: ignore a SIGTERM to the whole group, which would cut calls short; the parent stops us warmly."""
        if self._obeys_in == os.getpid():
            return
        self._obeys_in, parent = os.getpid(), os.getppid()

        def on_terminate(*_: object) -> None:
            if self.stage is Stage.COLD or os.getppid() != parent:
                os._exit(EXIT_FORCED)

        signal.signal(signal.SIGTERM, on_terminate)

    def _force(self, exit_code: int) -> None:
        self.wake_main()  # not in the signal handler, which may have interrupted the loop while it held its lock
        log.info("worker_stopping", stage=self.stage.name.lower(), within_seconds=self.within_seconds)
        time.sleep(self.within_seconds)
        log.critical("shutdown_forced", after_seconds=self.within_seconds)
        with contextlib.suppress(Exception):  # for example a pool without processes; the exit must not fail
            for pid in self.pids_of_children():
                os.kill(pid, signal.SIGKILL)
        os._exit(exit_code)
