"""Wakes a waiting dispatcher when logins of its instance become due, or when the worker stops."""

import asyncio
from concurrent.futures import Executor

import redis

from worker.clock import elapsed_seconds
from worker.reconciler.dispatcher import REDIS_PAUSE_SECONDS, Dispatcher, Parts

BLOCK_SECONDS = 0.3
"""How long one command waits. Higher delays a worker's stop; lower sends an idle Redis more commands."""
SHORTEST_BLOCK_SECONDS = 0.01  # to Redis, 0 is for ever


async def pass_wake_ups(
    parts: Parts, dispatcher: Dispatcher, instance: str, *, ends_at: float, threads: Executor
) -> None:
    """Pass each wake-up of an instance on to its dispatcher, if that waits, until the dispatcher has ended.

    No command outlives the slice: it would take a wake-up from the next one.
    """
    loop = asyncio.get_running_loop()
    while True:
        await dispatcher.waits.wait()
        if dispatcher.has_ended:
            return
        seconds = max(min(BLOCK_SECONDS, ends_at - elapsed_seconds()), SHORTEST_BLOCK_SECONDS)
        try:
            is_due = await loop.run_in_executor(threads, parts.ledger.wait_for_due, instance, seconds)
        except redis.RedisError:  # the dispatcher logs it
            await asyncio.sleep(REDIS_PAUSE_SECONDS)
        else:
            if is_due or parts.is_stopping():
                dispatcher.look()
