"""Lets a pool process end soon after a stop whose parent no longer reads results.

A process that ends waits up to 30 s until its parent has read the results of its tasks. A parent that was told to stop
just as a task began never reads them, so it waited for that process until the deadline of the stop. Nothing needs these
results: no task has a result that is kept, and a message that was not acknowledged is delivered again.
"""

from billiard import pool

WAIT_SECONDS = 1.0


def wait_briefly_for_the_parent() -> None:
    """Patch billiard's pool; processes that are forked afterwards have it too."""
    retries = round(WAIT_SECONDS / pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_INTERVAL)
    pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT = retries
