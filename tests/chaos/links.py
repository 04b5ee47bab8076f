"""TCP links that can be cut: broken networks between Redis, its replicas and its sentinels, without root.

Each link forwards one loopback port to one server. A party is recognised by its source address, so a link can be
dead for one party and alive for another, as in a network partition. All links run in one thread.
"""

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Coroutine
from typing import Any, Self

CHUNK = 65_536


class Links:
    """The thread that runs the links, as a context manager."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="links", daemon=True)
        self._links: list[Link] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for link in self._links:
            self.run(link.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def open(self, listen: tuple[str, int], target: tuple[str, int], *, tls: ssl.SSLContext | None = None) -> "Link":
        """Forward `listen` to `target`; with `tls`, clients must use it, and the target is reached unencrypted."""
        link = Link(self, target)
        self.run(link.listen(listen, tls))
        self._links.append(link)
        return link

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine in the thread and wait for its result."""
        asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=30)


class Link:
    """One forwarded port. `lag_seconds` delays the replies of the server to the parties in `lagging`."""

    def __init__(self, links: Links, target: tuple[str, int]) -> None:
        self._links, self._target = links, target
        self._dead: frozenset[str] = frozenset()
        self._open: dict[asyncio.Task[None], str] = {}
        self._server: asyncio.Server | None = None
        self.lagging: frozenset[str] = frozenset()
        self.lag_seconds = 0.0

    def cut(self, *parties: str) -> None:
        """Block these parties: no byte and no end of file passes; bytes in transit are lost."""
        self._dead = frozenset(parties)

    def mend(self) -> None:
        """Unblock everything; connections that lost bytes meanwhile are reset."""
        self._links.run(self._reset(self._dead))
        self._dead = frozenset()

    def drop(self) -> None:
        """Reset every connection at once, losing bytes in transit, as when a machine dies."""
        self._links.run(self._reset(frozenset(self._open.values())))

    async def listen(self, address: tuple[str, int], tls: ssl.SSLContext | None) -> None:
        """Start to accept."""
        self._server = await asyncio.start_server(self._accept, *address, ssl=tls)

    async def close(self) -> None:
        """Stop accepting and reset open connections."""
        if self._server:
            self._server.close()
        await self._reset(frozenset(self._open.values()))

    async def _accept(self, client: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        party = answer.get_extra_info("peername")[0]
        task = asyncio.current_task()
        if task is not None:
            self._open[task] = party
            task.add_done_callback(self._open.pop)
        writers, pumps = [answer], list[asyncio.Task[None]]()
        with contextlib.suppress(OSError, asyncio.CancelledError):
            server, ask = await asyncio.open_connection(*self._target)
            writers.append(ask)
            ways = self._pump(client, ask, party, late=False), self._pump(server, answer, party, late=True)
            pumps += map(asyncio.ensure_future, ways)
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for pump in pumps:
            pump.cancel()
        for writer in writers:
            writer.transport.abort()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, party: str, *, late: bool) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            while chunk := await source.read(CHUNK):
                if late and self.lag_seconds and party in self.lagging:
                    loop.call_later(self.lag_seconds, self._deliver, sink, chunk, party)
                else:
                    self._deliver(sink, chunk, party)
            if party in self._dead:  # the other side must not see that this one has ended
                await asyncio.Event().wait()

    def _deliver(self, sink: asyncio.StreamWriter, chunk: bytes, party: str) -> None:
        if party not in self._dead and not sink.is_closing():
            sink.write(chunk)

    async def _reset(self, parties: frozenset[str]) -> None:
        doomed = [task for task, party in self._open.items() if party in parties]
        for task in doomed:
            task.cancel()
        await asyncio.gather(*doomed, return_exceptions=True)
