"""The sentence of the product: claim -> call -> settle.

1. A `refresh.reconcile` message starts a slice. It carries nothing; the ledger says what is due.
2. The slice runs one dispatcher an instance in one event loop, so a closed gate holds up no other instance.
3. A drain claims logins, as many as rate and limits allow, calls for each, and settles what comes of it.
4. When nothing is due, or time is up, what is in flight is waited for and settled, and it says whether work is left.

Nothing here remembers anything: kill it anywhere, and the leases give its logins back.
"""

import asyncio
import math
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress

import redis

from worker.clock import elapsed_seconds
from worker.config.settings import Instance
from worker.reconciler.dispatcher import Drain, Parts

KEEP_PLACE_SECONDS = 1.0


class Place:
    """This reconciler's place among all: it says once a second that it is at work, and hears how many there are."""

    def __init__(self, parts: Parts, reconcilers: int, ends_at: float, threads: Executor) -> None:
        self._parts = parts
        self._reconcilers = reconcilers
        self._ends_at = ends_at
        self._threads = threads

    def share(self) -> int:
        """Return how many calls each of us may have in flight for an instance: who comes later finds room, too."""
        return math.ceil(self._parts.bounds.max_in_flight / max(self._reconcilers, 1))

    async def keep(self) -> None:
        """Keep it until the time is up, and then hand it over: our last call may take its whole deadline."""
        parts, in_thread = self._parts, asyncio.get_running_loop().run_in_executor
        while (left := self._ends_at - elapsed_seconds()) > 0:
            await asyncio.sleep(min(KEEP_PLACE_SECONDS, left))
            with suppress(redis.RedisError):
                self._reconcilers = await in_thread(self._threads, parts.ledger.enlist, parts.worker, parts.owner)
        with suppress(redis.RedisError):  # the leases of places run out as well
            await in_thread(self._threads, parts.hand_over)


async def run_slice(parts: Parts, instances: Sequence[tuple[Instance, str]], *, reconcilers: int = 1) -> bool:
    """Drain every (instance, fingerprint) until none has work or the time is up; True when it was the time.

    `reconcilers` is how many there are, this one included.
    """
    ends_at = elapsed_seconds() + parts.bounds.slice_seconds
    # A thread each, and none of the loop's own: there a slow name server holds one for each host that it is asked for.
    threads = ThreadPoolExecutor(len(instances) + 1, thread_name_prefix="ledger")
    place = Place(parts, reconcilers, ends_at, threads)
    drains = [
        Drain(parts, instance, fingerprint, ends_at=ends_at, share=place.share, threads=threads)
        for instance, fingerprint in instances
    ]
    for drain in drains:
        drain.others = [other for other in drains if other is not drain]
    keeping = asyncio.create_task(place.keep())
    try:
        async with asyncio.TaskGroup() as group:
            for drain in drains:
                group.create_task(drain.run())
    finally:
        keeping.cancel()
        threads.shutdown(wait=False)
    return elapsed_seconds() >= ends_at
