"""A proxy between the workers and Redis that fails as networks do: it delays, goes silent, resets, refuses.

Runs in a thread of its own. A silence is half-open: both sides believe that they are connected, and what they send
is lost, a request as well as the reply to a request that was executed.
"""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine
from typing import Any, Self

RESET_ON_CLOSE = struct.pack("ii", 1, 0)
READ_BYTES = 65_536
START_SECONDS = 10.0
ANSWER_SECONDS = 10.0

Link = tuple[asyncio.StreamWriter, asyncio.StreamWriter]
"""The directions: to a worker, and to Redis."""


class Middleman:
    """A TCP proxy on a free loopback port; use it as a context manager."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self.port = 0
        self.connections_cut = 0
        self.bytes_swallowed = 0
        self._is_silent = self._is_shut = False
        self._late_reply: tuple[bytes, float] | None = None
        self._links: set[Link] = set()
        self._forgotten: set[Link] = set()
        self._at_work: set[asyncio.Task[None]] = set()
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="middleman")

    def cut(self) -> int:
        """Reset every connection; returns how many there were."""
        return int(self._do(self._cut()))

    def silence(self) -> None:
        """From now on lose every byte, both ways, on old and new connections."""
        self._is_silent = True

    def go_on(self) -> None:
        """End a silence as networks do: old connections are reset and new ones work."""
        self._is_silent = False
        self.cut()

    def hold_back(self) -> None:
        """Hold everything back from now on without losing it, as a congested network does."""
        self._loop.call_soon_threadsafe(self._passable.clear)

    def let_pass(self) -> None:
        """Deliver what was held back."""
        self._loop.call_soon_threadsafe(self._passable.set)

    def hold_back_one(self, reply: bytes, *, seconds: float) -> None:
        """Delay the next reply of Redis that contains these bytes."""
        self._late_reply = reply, seconds

    def forget(self) -> int:
        """Lose every byte of the present connections forever, as a firewall without state does; new ones work."""
        return int(self._do(self._forget()))

    def shut(self) -> None:
        """Reset every connection, old and new."""
        self._is_shut = True
        self.cut()

    def open(self) -> None:
        self._is_shut = False

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._started.wait(START_SECONDS):
            raise AssertionError("the middleman did not start")
        return self

    def __exit__(self, *_: object) -> None:
        self._is_shut = True
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    def _do(self, work: Coroutine[Any, Any, int]) -> int:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(ANSWER_SECONDS)

    async def _serve(self) -> None:
        self._loop, self._stopping, self._passable = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
        self._passable.set()
        server = await asyncio.start_server(self._welcome, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._stopping.wait()
        server.close()
        self._passable.set()
        await self._cut()
        if self._at_work:
            await asyncio.wait(self._at_work)

    async def _cut(self) -> int:
        links, self._links = self._links, set()
        for link in links:
            _reset(*link)
        self.connections_cut += len(links)
        return len(links)

    async def _forget(self) -> int:
        self._forgotten |= self._links
        return len(self._forgotten)

    def _welcome(self, from_worker: asyncio.StreamReader, to_worker: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._link(from_worker, to_worker))
        self._at_work.add(task)
        task.add_done_callback(self._at_work.discard)

    async def _link(self, from_worker: asyncio.StreamReader, to_worker: asyncio.StreamWriter) -> None:
        try:
            if self._is_shut:
                raise ConnectionRefusedError
            from_redis, to_redis = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            _reset(to_worker)
            return
        link = to_worker, to_redis
        self._links.add(link)
        both_ways = (from_worker, to_redis), (from_redis, to_worker)
        ways = [asyncio.create_task(self._carry(link, *way)) for way in both_ways]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            self._links.discard(link)
            self._forgotten.discard(link)
            _close(*link)

    async def _carry(self, link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(READ_BYTES):
                await self._passable.wait()
                if self._late_reply and writer is link[0] and self._late_reply[0] in data:
                    (_, seconds), self._late_reply = self._late_reply, None
                    await asyncio.sleep(seconds)
                if self._is_silent or link in self._forgotten:
                    self.bytes_swallowed += len(data)
                else:
                    writer.write(data)
                    await writer.drain()


def _close(*writers: asyncio.StreamWriter) -> None:
    for writer in writers:
        writer.close()


def _reset(*writers: asyncio.StreamWriter) -> None:
    for writer in writers:
        with contextlib.suppress(OSError):
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        writer.transport.abort()
