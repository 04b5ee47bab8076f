"""Carries httpx requests to one server over connections that are kept open: the most recently used one first.

It does what the calls of this project need, and little else: HTTP/1.1, one request at a time on a connection, no retry,
no redirect, no cookie, no decompression. Each failure says whether the request was written.
"""

import asyncio
import ssl
from time import monotonic  # the clock of event loops; uvloop's own stands still while it is busy

import httpx

from worker.clock import elapsed_seconds
from worker.flinks.connect import Server
from worker.flinks.connection import Connection
from worker.flinks.messages import PreparedRequest

KEEPALIVE_SECONDS = 15.0
"""Shorter than the idle timeout of servers and load balancers, which may close a connection just as we write to it."""
RESTED_SECONDS = 0.05
"""A connection unused for longer may have been closed by the server while the event loop did not look."""
TURNS_UNTIL_CLOSED = 5
"""Turns of the event loop after which a connection knows that its server closed it: up to four, with TLS."""
_OURS = frozenset({b"host", b"connection", b"content-length", b"transfer-encoding"})


class TooLate(Exception):
    """The moment after which the request must not be sent has passed. Nothing was written."""


class Transport(httpx.AsyncBaseTransport):
    """Sends requests to the server of `url`, over at most `limit` connections; belongs to one event loop.

    A request waits for a free connection before its time begins. Its extensions are `timeout`, with the seconds for a
    new connection (`connect`) and for the whole call (`total`), and `not_after`, the latest moment at which it may be
    written, on the clock of `elapsed_seconds`. The body of a response is read whole, up to MAX_BODY_BYTES; the rest is
    not read. Raises CallFailed, and TooLate.
    """

    def __init__(self, url: str, *, limit: int, tls: ssl.SSLContext, proxy: httpx.Proxy | None = None) -> None:
        self._url = httpx.URL(url)
        self._server = Server(self._url, tls=tls, proxy=proxy)
        self._slots = asyncio.Semaphore(limit)
        self._open: set[Connection] = set()
        self._idle: list[Connection] = []
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = float("inf")
        self._headers: httpx.Headers | None = None
        self._head = b""

    @property
    def idle_connections(self) -> int:
        """How many open connections carry no request."""
        return sum(connection.is_usable for connection in self._idle)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return its response, with the body read."""
        limits, not_after = request.extensions["timeout"], request.extensions.get("not_after", float("inf"))
        content = request.content if isinstance(request, PreparedRequest) else await request.aread()
        connection = None
        await self._slots.acquire()  # `async with` would cost two more coroutines for each call
        try:
            now = monotonic()
            connection = self._just_used(now) or await self._other(limits["connect"], not_after)
            _refuse_after(not_after)
            self._expire_at(connection, now + limits["total"])
            return await connection.ask(self._message(request, content))
        finally:
            if connection:
                self._release(connection)
            self._slots.release()

    async def aclose(self) -> None:
        """Close all connections."""
        if self._timer:
            self._timer.cancel()
        for connection in self._open:
            connection.close()
        self._idle.clear()
        await asyncio.sleep(0)  # the event loop closes the sockets

    def _just_used(self, now: float) -> Connection | None:
        """Return the most recently used connection, if the event loop would know by now that its server closed it."""
        if self._idle and self._idle[-1].is_usable and now - self._idle[-1].used_at < RESTED_SECONDS:
            return self._idle.pop()
        return None

    async def _other(self, seconds: float, not_after: float) -> Connection:
        """Return the most recently used connection that is still open, or else a new one."""
        for _ in range(TURNS_UNTIL_CLOSED if self._idle else 0):
            await asyncio.sleep(0)
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable and monotonic() < connection.ends_at:
                return connection
            self._open.discard(connection)
            connection.close()
        _refuse_after(not_after)
        connection = await self._server.connect(seconds)
        self._open.add(connection)
        return connection

    def _release(self, connection: Connection) -> None:
        """Keep a connection for later calls, if it may carry another one; else close it."""
        if connection.is_usable:
            self._idle.append(connection)
            connection.used_at = monotonic()
            self._expire_at(connection, connection.used_at + KEEPALIVE_SECONDS)
        else:
            self._open.discard(connection)
            connection.close()

    def _expire_at(self, connection: Connection, at: float) -> None:
        """Set when a call, or the rest after it, has lasted too long. One timer serves all connections."""
        connection.ends_at = at
        if at < self._timer_at:
            if self._timer:
                self._timer.cancel()
            self._timer_at = at
            self._timer = asyncio.get_running_loop().call_at(at, self._expire)

    def _expire(self) -> None:
        now = max(monotonic(), self._timer_at)  # the event loop's clock may be a little ahead
        for connection in [connection for connection in self._open if connection.ends_at <= now]:
            connection.expire()
            self._open.discard(connection)
        self._idle = [connection for connection in self._idle if connection in self._open]
        self._timer_at = min((connection.ends_at for connection in self._open), default=float("inf"))
        self._timer = asyncio.get_running_loop().call_at(self._timer_at, self._expire) if self._open else None

    def _message(self, request: httpx.Request, content: bytes) -> bytes:
        """Return the request as bytes. Calls that share URL and headers share what is built of them."""
        if request.headers is not self._headers or request.url is not self._url:
            self._head = _head_of(request, self._url)
            self._headers, self._url = request.headers, request.url
        return b"%bcontent-length: %d\r\n\r\n%b" % (self._head, len(content), content)


def _head_of(request: httpx.Request, server: httpx.URL) -> bytes:
    url = request.url
    if (url.scheme, url.host, url.port) != (server.scheme, server.host, server.port):
        raise httpx.UnsupportedProtocol("this transport has connections to one server only")
    lines = [b"%b %b HTTP/1.1" % (request.method.encode(), url.raw_path), b"host: " + url.netloc]
    lines += [b"%b: %b" % (name, value) for name, value in request.headers.raw if name.lower() not in _OURS]
    head = b"".join(line + b"\r\n" for line in lines)
    if len(head.splitlines()) != len(lines) or b"\0" in head:
        raise httpx.LocalProtocolError("a header holds a line break or a NUL")
    return head


def _refuse_after(not_after: float) -> None:
    if elapsed_seconds() > not_after:
        raise TooLate
