"""Corrects two faults of the pool of processes (Celery 5.7, billiard 4.3).

1. A process closes its files a moment before its parent can learn that it ended. Celery then stops watching it, but
   keeps it in the pool until the next look, at most 5 s later. A worker that reconnects to its broker meanwhile ends
   with "ValueError: file descriptor is None". The patch skips such a process; the next look replaces it.
2. A process that ends waits up to 30 s until its parent has read the results of its tasks. A parent that was told to
   stop just as a task began never reads them, so it waited for that process until the deadline of the stop. The patch
   shortens this wait. Nothing needs these results: no task has a result that is kept, and a message that was not
   acknowledged is delivered again.
"""

from typing import Any

from billiard import pool as billiard_pool
from celery.concurrency.asynpool import AsynPool

WAIT_SECONDS = 1.0


def guard_pool() -> None:
    """Patch Celery's pool, once, and billiard's; processes that are forked afterwards have it too."""
    pool_class: Any = AsynPool
    if not getattr(pool_class, "is_guarded", False):
        pool_class.is_guarded = True
        _guard_tracking(pool_class)
    retries = round(WAIT_SECONDS / billiard_pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_INTERVAL)
    billiard_pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT = retries


def _guard_tracking(pool_class: Any) -> None:
    original = pool_class._track_child_process  # noqa: SLF001 - the faulty function is private

    def guarded(pool: Any, process: Any, hub: Any) -> None:
        if getattr(process, "_sentinel_poll", process) is not None:  # None: no longer watched, because it ended
            original(pool, process, hub)

    pool_class._track_child_process = guarded  # noqa: SLF001
