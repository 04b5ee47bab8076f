"""The bare loop: reads a stream in batches straight into the transport, the upper bound of this machine.

It has no Celery, no ledger, no sealing and no retry. Events of a login in the wrong order end with the wrong wish, and
a killed reader's entries stay pending: it is a yardstick, not production code.
"""

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from typing import Any

import redis
from redis import asyncio as async_redis

from benchmarks.backlog import backlog, cloudevent
from benchmarks.contenders import loops
from benchmarks.transport import patch

STREAM, GROUP, NAME = "bare:stream", "bare", str(os.getpid())
BATCH = 200
PUBLISH_BATCH = 500
BLOCK_MS = 300


class Loop:
    """The reader of one process: starts a call for each entry while its window has room; acknowledges in batches."""

    def __init__(self, client: async_redis.Redis, window: int) -> None:
        self._redis = client
        self._room = asyncio.Semaphore(window)
        self._done: list[bytes] = []
        self._calls: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Read until the process ends."""
        while True:
            found: Any = await self._redis.xreadgroup(GROUP, NAME, {STREAM: ">"}, count=BATCH, block=BLOCK_MS)
            for entry_id, fields in found[0][1] if found else []:
                await self._room.acquire()
                call = asyncio.create_task(self._call(entry_id, fields))
                self._calls.add(call)
                call.add_done_callback(self._calls.discard)
            await self._acknowledge()

    async def _call(self, entry_id: bytes, fields: Mapping[bytes, bytes]) -> None:
        event = json.loads(fields[b"event"])
        await patch(event["data"]["loginId"], event["type"] == "account.linked")
        self._done.append(entry_id)
        self._room.release()

    async def _acknowledge(self) -> None:
        done, self._done = self._done, []
        if done:
            await self._redis.xack(STREAM, GROUP, *done)


async def work() -> None:
    """Join the group and read from the first entry on."""
    client = async_redis.Redis.from_url(os.environ["BENCH_REDIS_URL"], protocol=2)
    try:
        await client.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    except redis.ResponseError as error:
        if not str(error).startswith("BUSYGROUP"):
            raise
    await Loop(client, int(os.environ["BENCH_WINDOW"])).run()


def publish(count: int) -> None:
    """Add the backlog to the stream."""
    with redis.Redis.from_url(os.environ["BENCH_REDIS_URL"]) as client:
        pipeline = client.pipeline(transaction=False)
        for number, wish in enumerate(backlog(count), start=1):
            pipeline.xadd(STREAM, {"event": cloudevent(number, wish)})
            if number % PUBLISH_BATCH == 0:
                pipeline.execute()
        pipeline.execute()


if __name__ == "__main__":
    loops.choose()
    if sys.argv[1] == "work":
        asyncio.run(work())
    else:
        publish(int(sys.argv[1]))
