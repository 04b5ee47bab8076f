"""A stack for one test whose workers start and stop faster: a warm stop takes two seconds.

Warm stops have tests of their own (tests/integration/celery_worker/test_shutdown.py).
"""

import re
from collections.abc import Sequence
from typing import Any

from sandbox.stack import EmbeddedStack, ManagedProcess
from sandbox.stack.stack import Ready
from tests.forked_process import ForkedProcess


class BriefStack(EmbeddedStack):
    """An EmbeddedStack that starts its workers with light_celery.py, and does not wait for a warm stop."""

    process_type = ForkedProcess

    def start_worker(self, *, concurrency: int | None = None, ready: Ready | None = None) -> ManagedProcess:
        """Start a worker and wait for Celery's line; each ping that is sent too early would cost half a second."""
        return super().start_worker(concurrency=concurrency, ready=ready or says_ready)

    def start_process(self, name: str, argv: Sequence[str], **options: Any) -> ManagedProcess:
        """Start a child; a worker without what it does not need."""
        python, *rest = argv
        if rest[:3] == ["-m", "celery", "-A"]:
            rest[1] = "tests.light_celery"
        return super().start_process(name, [python, *rest], **options)

    def stop(self) -> None:
        """SIGKILL the remaining workers with their children, then stop the rest as usual."""
        for worker in self.workers:
            self.stop_process(worker, grace_seconds=0)
        super().stop()


def says_ready(worker: ManagedProcess) -> bool:
    """Return whether Celery logged that this worker is ready: its last step, after it reads its queues.

    Searches the whole log: on a backlog, more than the end that `output` returns follows within a moment.
    """
    if not worker.log_path.exists():
        return False
    log = worker.log_path.read_bytes()[worker._log_offset :].decode(errors="replace")
    return re.search(rf"\b{worker.name}@\S+ ready\.", log) is not None
