"""The best plain Celery: one task per event; one event loop and one transport per process make the calls.

A task passes its call to the loop and waits for it, so that a failed call still fails its task.
Tried: `python -m benchmarks tune "plain celery"` (prefork, threads, prefetch, uvloop for the loop).
"""

import asyncio
import os
import sys
import threading

from celery import Celery

from benchmarks.backlog import backlog
from benchmarks.contenders import loops
from benchmarks.transport import patch

loops.choose()
app = Celery("plain", broker=os.environ["BENCH_REDIS_URL"])
app.conf.update(
    task_ignore_result=True,
    result_backend=None,
    worker_prefetch_multiplier=int(os.environ.get("BENCH_PREFETCH", "4")),
    worker_disable_rate_limits=True,
    worker_send_task_events=False,
    task_send_sent_event=False,
    broker_transport_options={"max_connections": 64},
)


class _Loop:
    """One event loop for all threads of a process; a forked child creates its own."""

    lock = threading.Lock()
    by_pid: dict[int, asyncio.AbstractEventLoop] = {}  # noqa: RUF012 - one for the process, on purpose

    @classmethod
    def here(cls) -> asyncio.AbstractEventLoop:
        with cls.lock:
            if os.getpid() not in cls.by_pid:
                loop = cls.by_pid[os.getpid()] = asyncio.new_event_loop()
                threading.Thread(target=loop.run_forever, daemon=True).start()
            return cls.by_pid[os.getpid()]


@app.task(name="refresh", autoretry_for=(Exception,), retry_backoff=True, max_retries=5)
def refresh(login_id: str, is_on: bool) -> None:  # noqa: FBT001 - the wish
    """Make the call for an event."""
    asyncio.run_coroutine_threadsafe(patch(login_id, is_on), _Loop.here()).result()


if __name__ == "__main__":
    with app.producer_pool.acquire() as producer:
        for wish in backlog(int(sys.argv[1])):
            app.send_task("refresh", wish, producer=producer)
