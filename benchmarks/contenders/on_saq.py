"""saq: one job per event, no result kept.

Tried: `python -m benchmarks tune saq` (jobs at once, uvloop).
"""

import asyncio
import os
import sys
from itertools import islice
from typing import Any

from saq import Queue

from benchmarks.backlog import backlog
from benchmarks.contenders import loops
from benchmarks.transport import patch

loops.choose()
queue = Queue.from_url(os.environ["BENCH_REDIS_URL"] + "?max_connections=2000", max_concurrent_ops=1000)


async def refresh(_: dict[str, Any], *, login_id: str, is_on: bool) -> None:
    """Make the call for an event."""
    await patch(login_id, is_on)


settings = {"queue": queue, "functions": [refresh], "concurrency": int(os.environ["BENCH_WINDOW"])}


async def publish(count: int) -> None:
    """Enqueue the backlog, fifty jobs at a time."""
    events = backlog(count)
    while batch := list(islice(events, 50)):
        await asyncio.gather(
            *(queue.enqueue("refresh", login_id=wish.login_id, is_on=wish.is_on, ttl=-1, retries=5) for wish in batch)
        )
    await queue.disconnect()


if __name__ == "__main__":
    asyncio.run(publish(int(sys.argv[1])))
