"""Runs Redis commands from an event loop without a thread: one sends them, and the loop waits for the replies.

A thread would cost two switches between threads for each call, on the way of every event. Only what may block for long,
to connect and to ask sentinels, is done in a thread.
"""

import asyncio
import os
from collections.abc import Sequence
from concurrent.futures import Executor
from contextlib import suppress
from typing import Any

import redis

from worker.redis_client.client import Pool
from worker.redis_client.connect import TIMEOUTS, BytesRedis


async def run_in_loop(
    client: BytesRedis, *commands: Sequence[Any], threads: Executor | None, wait_seconds: float = 0
) -> list[Any]:
    """Send commands together and return their replies, errors too; raises redis.RedisError if there are none.

    They may wait in Redis for `wait_seconds` in addition to the usual timeout. Connects in one of `threads` (None: of
    the event loop). If the connection breaks they are sent once more.
    """
    seconds = TIMEOUTS["socket_timeout"] + wait_seconds
    with suppress(redis.ConnectionError):
        return await _exchange(client, commands, seconds, threads)
    return await _exchange(client, commands, seconds, threads)


async def _exchange(
    client: BytesRedis, commands: Sequence[Sequence[Any]], seconds: float, threads: Executor | None
) -> list[Any]:
    pool = client.connection_pool
    connection: Any = pool.idle_connection() if isinstance(pool, Pool) else None
    if connection is None:
        connection = await asyncio.get_running_loop().run_in_executor(threads, pool.get_connection)
    replies: list[Any] = []
    try:
        connection.send_packed_command(connection.pack_commands(commands))
        await _until_readable(connection, seconds)
        replies = [_reply(connection) for _ in commands]
    finally:
        if not replies:
            connection.disconnect()
        pool.release(connection)
    return replies


def _reply(connection: Any) -> Any:
    """Return a reply, or an error that Redis replied. All replies come together, so this hardly ever waits."""
    try:
        return connection.read_response()
    except redis.ResponseError as error:
        return error


async def _until_readable(connection: Any, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    readable = loop.create_future()
    descriptor = _descriptor(connection)
    loop.add_reader(descriptor, _set, readable, None)
    timer = loop.call_later(seconds, _set, readable, redis.TimeoutError("Redis does not answer in time"))
    try:
        await readable
    finally:
        timer.cancel()
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _descriptor(connection: Any) -> int:
    """Return a file descriptor of our own for the socket, which others may close: after an error they close them all.

    A closed descriptor would never become readable, and its number would soon be that of another socket.
    """
    try:
        return os.dup(connection._sock.fileno())  # noqa: SLF001 - redis-py shows its socket nowhere
    except (AttributeError, OSError):
        raise redis.ConnectionError("the connection was closed meanwhile") from None


def _set(future: asyncio.Future[None], error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
