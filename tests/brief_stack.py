"""A stack for one test that kills its workers at the end, because a warm stop takes two seconds.

Warm stops have tests of their own (tests/integration/celery_worker/test_shutdown.py).
"""

from sandbox.stack import EmbeddedStack


class BriefStack(EmbeddedStack):
    """An EmbeddedStack that does not wait for a warm stop of its workers."""

    def stop(self) -> None:
        """SIGKILL the remaining workers with their children, then stop the rest as usual."""
        for worker in self.workers:
            self.stop_process(worker, grace_seconds=0)
        super().stop()
