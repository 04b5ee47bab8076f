"""dramatiq: an async actor on its AsyncIO middleware; Retries is the only other middleware.

Tried: `python -m benchmarks tune dramatiq` (threads, prefetch, uvloop under the middleware).
"""

import os
import sys

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import AsyncIO, Retries

from benchmarks.backlog import backlog
from benchmarks.contenders import loops
from benchmarks.transport import patch

loops.choose()
broker = RedisBroker(url=os.environ["BENCH_REDIS_URL"], middleware=[AsyncIO(), Retries(max_retries=5)])
dramatiq.set_broker(broker)
refresh = dramatiq.actor(patch, actor_name="refresh", broker=broker)

if __name__ == "__main__":
    for wish in backlog(int(sys.argv[1])):
        refresh.send(*wish)
