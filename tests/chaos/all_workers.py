"""All workers of a scene, killed together with `kill -9` and started again."""

import os
import signal
from contextlib import suppress

from tests.chaos.scene import Scene

SLOTS = 2


class AllWorkers:
    """All workers, killed at once with their children and started again."""

    def __init__(self, scene: Scene, size: int) -> None:
        self._scene, self._size = scene, size

    def start(self) -> None:
        """Start the workers and wait for the last one."""
        for _ in range(self._size - 1):
            self._scene.stack.start_worker(concurrency=SLOTS, ready=lambda _: True)
        self._scene.stack.start_worker(concurrency=SLOTS)

    def kill(self) -> None:
        """SIGKILL every process of every worker, then start as many again."""
        workers = list(self._scene.stack.workers)
        for worker in workers:
            with suppress(ProcessLookupError):
                os.killpg(worker.pid, signal.SIGKILL)
        for worker in workers:
            self._scene.stack.stop_process(worker, grace_seconds=0)
        self.start()

    def break_redis(self) -> None:
        """SIGKILL Redis, and start it again."""
        self._scene.kill_redis()
        self._scene.return_redis()
        self._scene.middleman.open()
