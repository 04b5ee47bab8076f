"""How a worker ends: warm if it can, and within bounds always.

A flag in memory that the pool's children share tells them to claim no more, whether Redis answers or not. A
thread ends the process, children first, when the warm way takes longer than every call's deadline: what was in
flight then comes back by its lease, and messages by their visibility timeout, so nothing is lost by it.
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
"""Beyond one call's deadline: to settle, to stop the threads, to close connections."""
EXIT_STUCK = 70
EXIT_FORCED = 75

log = get_logger(__name__)


class Stage(IntEnum):
    """How far a worker is on its way out."""

    RUNNING = 0
    WARM = 1
    COLD = 2


class Shutdown:
    """One worker's way out, made before the pool forks.

    `pids_of_children` is set when there is a pool, `wake_main` when the main thread has a loop that may sleep.
    """

    def __init__(self, *, within_seconds: float) -> None:
        self.within_seconds = within_seconds
        self.pids_of_children: Callable[[], Iterable[int]] = list
        self.wake_main: Callable[[], object] = lambda: None
        self._shared = mmap.mmap(-1, 1)
        self._has_deadline = False
        self._obeys_in = 0

    @property
    def stage(self) -> Stage:
        """The stage, the same in the parent and in its children."""
        return Stage(self._shared[0])

    @property
    def is_stopping(self) -> bool:
        """Whether no new work should be taken."""
        return self.stage > Stage.RUNNING

    def begin(self, stage: Stage = Stage.WARM, *, exit_code: int = EXIT_FORCED) -> None:
        """Start on the way out. If it is not over in `within_seconds`, the process ends with `exit_code`."""
        self._shared[0] = max(stage, self.stage)
        if not self._has_deadline:
            self._has_deadline = True
            threading.Thread(target=self._force, args=(exit_code,), name="deadline", daemon=True).start()

    def obey_in_child(self) -> None:
        """In a child: outlive a SIGTERM to the whole group, which would cut calls short; the parent stops us warmly."""
        if self._obeys_in == os.getpid():
            return
        self._obeys_in, parent = os.getpid(), os.getppid()

        def on_terminate(*_: object) -> None:
            if self.stage is Stage.COLD or os.getppid() != parent:
                os._exit(EXIT_FORCED)

        signal.signal(signal.SIGTERM, on_terminate)

    def _force(self, exit_code: int) -> None:
        self.wake_main()  # not in the signal's handler, which may have interrupted the loop with its lock held
        time.sleep(self.within_seconds)
        log.critical("shutdown_forced", after_seconds=self.within_seconds)
        with contextlib.suppress(Exception):  # a pool without processes, say: whatever it is, we end
            for pid in self.pids_of_children():
                os.kill(pid, signal.SIGKILL)
        os._exit(exit_code)
