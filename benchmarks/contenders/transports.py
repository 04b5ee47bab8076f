"""The transports that `transport_cost` compares. Run as a program, it measures one of them in a process of its own.

Arguments: a name of TRANSPORTS, `uvloop` or `asyncio`, the URL of the server, seconds.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, ItemsView, Mapping
from typing import cast

import aiohttp
import httpx
import uvloop
from httpx_aiohttp import AiohttpTransport

from benchmarks.tls_stub import ANSWER, CONTENT, PATH
from benchmarks.transport import HEADERS
from worker.flinks import connect
from worker.flinks.connection import Connection
from worker.flinks.messages import PreparedRequest, RawResponse, read_body
from worker.flinks.transport import Transport

IN_FLIGHT = 64
WARM_UP_SECONDS = 0.5
SECONDS = 10.0
_ANSWERED = [(b"content-type", b"application/json; charset=utf-8"), (b"content-length", b"%d" % len(ANSWER))]
_ANSWERED_NAMES = {name for name, _ in _ANSWERED}
Call = Callable[[], Awaitable[None]]


def check(status: int, body: bytes) -> None:
    """Raise ValueError unless this is the answer to the call."""
    if status != httpx.codes.OK or body != ANSWER:
        raise ValueError(f"unexpected answer: {status}")


def _through(
    transport: httpx.AsyncBaseTransport,
    url: httpx.URL,
    headers: httpx.Headers,
    request_type: type[PreparedRequest] = PreparedRequest,
) -> Call:
    """Return the call of a transport without httpx's client, as worker/flinks/client.py makes it."""
    extensions = {"timeout": {"connect": SECONDS / 2, "total": SECONDS}, "not_after": float("inf")}

    async def call() -> None:
        request = request_type("PATCH", url, headers, content=CONTENT, extensions=extensions)
        response = await transport.handle_async_request(request)
        check(response.status_code, await read_body(response))

    return call


async def ours(url: str) -> Call:
    """Return the call of Nightly's transport."""
    transport = Transport(url, limit=IN_FLIGHT, tls=httpx.create_ssl_context())
    return _through(transport, httpx.URL(url), httpx.Headers(HEADERS))


class _Unparsing(Connection):
    """Takes what came for the whole answer, whatever it is."""

    def buffer_updated(self, count: int) -> None:
        assert self._waiter is not None  # noqa: S101 - narrows the type
        self.is_usable = True
        body = bytes(self._buffer[count - len(ANSWER) : count])
        self._waiter.set_result(RawResponse(200, _ANSWERED, _ANSWERED_NAMES, body))


async def ours_unparsed(url: str) -> Call:
    """Return the call of Nightly's transport without the parsing of answers: what the parser costs is the rest."""
    connect.Connection = _Unparsing  # type: ignore[attr-defined] # this process measures nothing else
    return await ours(url)


class _KnownUrl(httpx.URL):
    """A URL that keeps its text: httpx builds it for each call."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._text = super().__str__()

    def __str__(self) -> str:
        return self._text


class _KnownHeaders(httpx.Headers):
    """Headers that keep their items: httpx decodes them for each call."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        super().__init__(headers)
        self._known = dict(super().items()).items()

    def items(self) -> ItemsView[str, str]:
        return self._known


class _KnownRequest(PreparedRequest):
    """A request whose content httpx-aiohttp reads without a copy."""

    @property
    def content(self) -> bytes:
        return CONTENT


async def httpx_aiohttp(url: str) -> Call:
    """Return the call of httpx-aiohttp's transport, with URL, headers and content prepared for it."""
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=15, ssl=httpx.create_ssl_context())
    session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
    call = _through(AiohttpTransport(client=session), _KnownUrl(url), _KnownHeaders(HEADERS), _KnownRequest)

    async def call_in_time() -> None:
        async with asyncio.timeout(SECONDS):
            await call()

    return call_in_time


async def httpx_client(url: str) -> Call:
    """Return the call of httpx.AsyncClient with httpx's own transport."""
    limits = httpx.Limits(max_connections=IN_FLIGHT, max_keepalive_connections=IN_FLIGHT)
    client = httpx.AsyncClient(verify=httpx.create_ssl_context(), limits=limits, timeout=SECONDS)

    async def call() -> None:
        response = await client.patch(url, content=CONTENT, headers=HEADERS)
        check(response.status_code, response.content)

    return call


class _Counting(asyncio.Protocol):
    """Counts bytes: an answer ends when as many came as in the first one, which arrives in one piece."""

    length = 0
    transport: asyncio.WriteTransport

    def ask(self, request: bytes) -> asyncio.Future[bytes]:
        self._seen, self._answered = b"", asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self._answered

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        self._seen += data
        self.length = self.length or len(data)
        if len(self._seen) == self.length:
            self._answered.set_result(self._seen)


class _NoParser(httpx.AsyncBaseTransport):
    """The least that an httpx transport can do: it takes the end of the answer for the body, and has no deadline."""

    def __init__(self, head: bytes, connections: list[_Counting]) -> None:
        self._head, self._idle = head, connections

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        connection = self._idle.pop()
        answer = await connection.ask(self._head + request.content)
        self._idle.append(connection)
        return RawResponse(200, _ANSWERED, _ANSWERED_NAMES, answer[-len(ANSWER) :])


async def no_parser(url: str) -> Call:
    """Return the call of a transport that does not parse: the limit for one with httpx's interface."""
    head, connections = await _counting(url)
    return _through(_NoParser(head, connections), httpx.URL(url), httpx.Headers(HEADERS))


async def sockets(url: str) -> Call:
    """Return a call that only writes and reads: no httpx, no deadline, no check of the answer."""
    head, idle = await _counting(url)
    request = head + CONTENT

    async def call() -> None:
        connection = idle.pop()
        await connection.ask(request)
        idle.append(connection)

    return call


async def _counting(url: str) -> tuple[bytes, list[_Counting]]:
    """Return the head of the request, and an open connection for each call in flight."""
    server = httpx.URL(url)
    lines = [f"PATCH {server.path} HTTP/1.1", f"host: {server.netloc.decode()}", f"content-length: {len(CONTENT)}"]
    lines += [f"{name}: {value}" for name, value in HEADERS.items()]
    tls = httpx.create_ssl_context() if server.scheme == "https" else None
    loop = asyncio.get_running_loop()
    opened = [
        await loop.create_connection(_Counting, server.host, server.port or 443, ssl=tls) for _ in range(IN_FLIGHT)
    ]
    return "\r\n".join([*lines, "", ""]).encode(), [connection for _, connection in opened]


TRANSPORTS: Mapping[str, Callable[[str], Awaitable[Call]]] = {
    "ours": ours,
    "ours unparsed": ours_unparsed,
    "no parser": no_parser,
    "sockets alone": sockets,
    "httpx-aiohttp": httpx_aiohttp,
    "httpx": httpx_client,
}


async def measure(name: str, url: str, seconds: float) -> None:
    """Print the number of calls in about `seconds`, and their CPU microseconds in this process; then end it."""
    call = await TRANSPORTS[name](url + PATH)
    await asyncio.gather(*(call() for _ in range(IN_FLIGHT)))  # opens all connections
    await _calls(call, WARM_UP_SECONDS)
    before = time.process_time()
    count = await _calls(call, seconds)
    print(json.dumps([count, (time.process_time() - before) * 1e6]), flush=True)
    os._exit(0)  # closing the connections is not measured


async def _calls(call: Call, seconds: float) -> int:
    ends_at = time.monotonic() + seconds

    async def one_by_one() -> int:
        count = 0
        while time.monotonic() < ends_at:
            await call()
            count += 1
        return count

    return sum(await asyncio.gather(*(one_by_one() for _ in range(IN_FLIGHT))))


if __name__ == "__main__":
    name, loop, url, seconds = sys.argv[1:]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop if loop == "uvloop" else asyncio.new_event_loop) as runner:
        runner.run(measure(name, url, float(seconds)))
