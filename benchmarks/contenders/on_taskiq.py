"""taskiq: an async task on a Redis stream or list; its worker uses uvloop by default.

Tried: `python -m benchmarks tune taskiq` (both brokers, tasks at once, prefetch, entries read at once, when to ack).
"""

import asyncio
import os
import sys
from itertools import islice

from taskiq_redis import ListQueueBroker, RedisStreamBroker

from benchmarks.backlog import backlog
from benchmarks.transport import patch

_URL, _POOL = os.environ["BENCH_REDIS_URL"], int(os.environ.get("BENCH_POOL", "50"))
_READ = int(os.environ.get("BENCH_READ", "100"))
if os.environ.get("BENCH_BROKER") == "list":
    broker = ListQueueBroker(_URL, max_connection_pool_size=_POOL)
else:
    broker = RedisStreamBroker(_URL, consumer_id="0", xread_count=_READ, max_connection_pool_size=_POOL)
refresh = broker.register_task(patch, "refresh")


async def publish(count: int) -> None:
    """Send the backlog, a hundred messages at a time."""
    await broker.startup()
    events = backlog(count)
    while batch := list(islice(events, 100)):
        await asyncio.gather(*(refresh.kiq(*wish) for wish in batch))
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(publish(int(sys.argv[1])))
