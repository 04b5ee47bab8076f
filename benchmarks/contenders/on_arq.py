"""arq: one job per event, no result kept, no log line for a job that succeeds.

Tried: `python -m benchmarks tune arq` (jobs at once, poll delay, jobs read at once, uvloop).
"""

import asyncio
import os
import sys
from itertools import islice
from typing import Any

from arq import create_pool
from arq.connections import RedisSettings

from benchmarks.backlog import backlog
from benchmarks.contenders import loops
from benchmarks.transport import patch

loops.choose()
QUIET = {"version": 1, "disable_existing_loggers": False, "loggers": {"arq": {"level": "WARNING"}}}
_REDIS = RedisSettings.from_dsn(os.environ["BENCH_REDIS_URL"])


async def refresh(_: dict[str, Any], login_id: str, is_on: bool) -> None:  # noqa: FBT001 - the wish
    """Make the call for an event."""
    await patch(login_id, is_on)


class WorkerSettings:
    """The settings that `arq` reads."""

    functions = (refresh,)
    redis_settings = _REDIS
    max_jobs = int(os.environ["BENCH_WINDOW"])
    queue_read_limit = int(os.environ.get("BENCH_READ", "0")) or None
    poll_delay = float(os.environ.get("BENCH_POLL", "0.01"))
    keep_result = 0
    log_results = False


async def publish(count: int) -> None:
    """Enqueue the backlog, fifty jobs at a time."""
    pool = await create_pool(_REDIS)
    events = backlog(count)
    while batch := list(islice(events, 50)):
        await asyncio.gather(*(pool.enqueue_job("refresh", *wish) for wish in batch))
    await pool.aclose()


if __name__ == "__main__":
    asyncio.run(publish(int(sys.argv[1])))
