"""A stack for one test, whose workers are killed at its end: a warm stop takes two seconds and proves nothing by then.

What a warm stop does is tried where a test asks for it (tests/integration/celery_worker/test_shutdown.py).
"""

from sandbox.stack import EmbeddedStack


class BriefStack(EmbeddedStack):
    """An EmbeddedStack that does not wait for its workers' last words."""

    def stop(self) -> None:
        """SIGKILL the workers that are left, with their children; then stop the rest as ever."""
        for worker in self.workers:
            self.stop_process(worker, grace_seconds=0)
        super().stop()
