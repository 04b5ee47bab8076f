"""A stack for one test whose workers start and stop faster: a warm stop takes two seconds.

Warm stops have tests of their own (tests/integration/celery_worker/test_shutdown.py).
"""

from collections.abc import Sequence
from typing import Any

from sandbox.stack import EmbeddedStack, ManagedProcess
from tests.forked_process import ForkedProcess


class BriefStack(EmbeddedStack):
    """An EmbeddedStack that starts its workers with light_celery.py, and does not wait for a warm stop."""

    process_type = ForkedProcess

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
