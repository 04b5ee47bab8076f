"""Runs one slice of reconciling: claim -> call -> settle.

1. A `refresh.reconcile` message starts a slice. It names no login: the ledger knows which are due.
2. The slice runs one dispatcher per instance in one event loop, so a closed gate delays no other instance.
3. A dispatcher claims as many logins as the rate and the limits allow, makes one call for each, and settles it.
4. When nothing is due, its next claim waits in Redis; the script that records an event wakes it. A worker with one pool
   process ends the slice instead, and the next message starts another.
5. When the time is up, it waits for the calls in flight, settles them, and returns.

A slice keeps no state in memory that matters: after a kill, its leases expire and the logins become due again.
"""

import asyncio
import math
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress

import redis

from worker.clock import elapsed_seconds
from worker.config.instances import Instance
from worker.reconciler.dispatcher import Dispatcher, Parts

HEARTBEAT_SECONDS = 1.0


class SlotHeartbeat:
    """Refreshes this reconciler's slot once a second and reads the number of reconcilers."""

    def __init__(self, parts: Parts, reconcilers: int, ends_at: float, threads: Executor) -> None:
        self._parts = parts
        self._reconcilers = reconcilers
        self._ends_at = ends_at
        self._threads = threads

    def share(self) -> int:
        """Return this reconciler's share of the calls that an instance may have in flight."""
        return math.ceil(self._parts.bounds.max_in_flight / max(self._reconcilers, 1))

    async def run(self) -> None:
        """Heartbeat until the slice ends, then hand the slot over: the last calls may take until their deadline."""
        parts, in_thread = self._parts, asyncio.get_running_loop().run_in_executor
        while (left := self._ends_at - elapsed_seconds()) > 0:
            await asyncio.sleep(min(HEARTBEAT_SECONDS, left))
            with suppress(redis.RedisError):
                self._reconcilers = await in_thread(
                    self._threads, parts.ledger.join_reconcilers, parts.worker, parts.owner
                )
        with suppress(redis.RedisError):  # a slot without a heartbeat expires
            await in_thread(self._threads, parts.hand_over)


async def run_slice(parts: Parts, instances: Sequence[tuple[Instance, str]], *, reconcilers: int = 1) -> bool:
    """Dispatch for every (instance, fingerprint) until nothing is due or the time is up; returns whether it was up.

    `reconcilers` is the number of running reconcilers, this one included.
    """
    ends_at = elapsed_seconds() + parts.bounds.slice_seconds
    # A pool of our own: slow name lookups can occupy all threads of the event loop's default pool.
    threads = ThreadPoolExecutor(len(instances) + 1, thread_name_prefix="ledger")
    heartbeat = SlotHeartbeat(parts, reconcilers, ends_at, threads)
    dispatchers = [
        Dispatcher(parts, instance, fingerprint, ends_at=ends_at, share=heartbeat.share, threads=threads)
        for instance, fingerprint in instances
    ]
    for dispatcher in dispatchers:
        dispatcher.everyone = dispatchers
    heartbeats = asyncio.create_task(heartbeat.run())
    try:
        async with asyncio.TaskGroup() as group:
            for dispatcher in dispatchers:
                group.create_task(dispatcher.run())
    finally:
        heartbeats.cancel()
        threads.shutdown()  # a heartbeat on its way would take the slot again after it was left
    return elapsed_seconds() >= ends_at
