"""Serves `GET /metrics` from one thread with its own event loop.

Connections, their duration, and reads of the ledger are limited, so no client can slow a worker down. `metrics.py`
collects the numbers.
"""

import asyncio
import contextlib
import errno
import os
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, generate_latest

from worker.listening import BoundedListener, Place, Places, listen
from worker.telemetry.logs import get_logger
from worker.telemetry.metrics import LedgerCollector
from worker.telemetry.rare_line import RareLine

PORTS = 16
"""Ports to try, from METRICS_PORT on: several workers on one machine share a configuration."""
CONNECTIONS = 16
CLIENT_SECONDS = 5.0
"""Deadline of a whole scrape, including the client's part."""
FRESH_SECONDS = 1.0
"""Minimum time between two reads of the ledger; a scrape in between gets the same numbers."""
MAX_HEAD_BYTES = 8 * 1024
PAUSE_SECONDS = 0.002
"""Pause before each connection, which limits a flood of connections to a tenth of a core."""
STOP_SECONDS = 2.0
_log = get_logger(__name__)


def serve_metrics(host: str, port: int, read: Callable[[], Mapping[str, Any]]) -> "MetricsServer | None":
    """Serve on `port`, or on the first free one of the next 15; a thread calls `read` for the ledger's status.

    Port 0 means any free port. If no port is free or `host` is not an address of this machine, logs that and returns
    None: a worker runs without metrics.
    """
    closed, refused = RareLine("metrics_idle_connections_closed"), RareLine("metrics_connections_refused")
    places = Places(CONNECTIONS, on_closed=closed.say, on_refused=refused.say)
    last = min(port + PORTS, 65_536) - 1
    for candidate in range(port, last + 1):
        try:
            listener = listen(host, candidate, places, pause_seconds=PAUSE_SECONDS)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                reason = error.strerror or os.strerror(error.errno or 0)
                _log.error("metrics_port_refused", host=host, port=candidate, reason=reason)
                return None
        else:
            server = MetricsServer(listener, read)
            _log.info("metrics_listening", host=host, port=server.port)
            return server
    advice = "all of these ports are taken: set another METRICS_PORT for this worker, or none"
    _log.error("metrics_port_refused", host=host, port=port, last_port=last, reason=advice)
    return None


class MetricsServer:
    """A running endpoint. `close` stops it; a process that ends need not call it."""

    def __init__(self, listener: BoundedListener, read: Callable[[], Mapping[str, Any]]) -> None:
        self.port: int = listener.getsockname()[1]
        self._listener = listener
        self._registry = CollectorRegistry()
        self._registry.register(LedgerCollector(read))
        self._reading: asyncio.Task[bytes] | None = None
        self._read_at = float("-inf")
        self._loop = asyncio.new_event_loop()
        self._is_closed = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving and free the port; waits at most STOP_SECONDS for a read of the ledger."""
        with contextlib.suppress(RuntimeError):  # the loop has ended already
            self._loop.call_soon_threadsafe(self._is_closed.set)
        self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        server = await self._loop.create_server(
            lambda: _Scrape(self._listener.places, self._numbers), sock=self._listener
        )
        await self._is_closed.wait()
        server.close()

    async def _numbers(self) -> bytes:
        """Read the ledger, or join a read in progress, which continues if its client leaves."""
        is_old = time.monotonic() - self._read_at >= FRESH_SECONDS
        if self._reading is None or (self._reading.done() and is_old):
            self._reading = self._loop.create_task(self._read())
        return await asyncio.shield(self._reading)

    async def _read(self) -> bytes:
        try:
            return await asyncio.to_thread(generate_latest, self._registry)
        finally:
            self._read_at = time.monotonic()


class _Scrape(asyncio.Protocol):
    """One connection with one request, of which only the first line counts."""

    _place: Place
    _transport: asyncio.Transport
    _deadline: asyncio.TimerHandle
    _answering: asyncio.Task[None] | None = None

    def __init__(self, places: Places, numbers: Callable[[], Awaitable[bytes]]) -> None:
        self._places, self._numbers = places, numbers
        self._head = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a place for at most CLIENT_SECONDS."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - create_server makes no other
        self._transport, self._place = transport, self._places.enter(transport)
        self._deadline = asyncio.get_running_loop().call_later(CLIENT_SECONDS, transport.abort)

    def data_received(self, data: bytes) -> None:
        """Answer when the head is complete."""
        self._head += data
        if b"\r\n\r\n" in self._head or len(self._head) > MAX_HEAD_BYTES:
            self._transport.pause_reading()
            self._place.work()
            self._answering = asyncio.get_running_loop().create_task(self._answer())

    def connection_lost(self, _: Exception | None) -> None:
        """Give the place back."""
        self._places.leave(self._place)
        self._deadline.cancel()
        if self._answering is not None:
            self._answering.cancel()

    async def _answer(self) -> None:
        status, method = _status_of(bytes(self._head))
        body, content_type = f"{status.value} {status.phrase}\n".encode(), "text/plain; charset=utf-8"
        if status is HTTPStatus.OK:
            body, content_type = await self._numbers(), CONTENT_TYPE_PLAIN_0_0_4
        lines = [f"HTTP/1.1 {status.value} {status.phrase}", f"Content-Type: {content_type}"]
        lines += [f"Content-Length: {len(body)}", "Connection: close"]
        lines += ["Allow: GET, HEAD"] if status is HTTPStatus.METHOD_NOT_ALLOWED else []
        self._transport.write("\r\n".join([*lines, "", ""]).encode() + (b"" if method == b"HEAD" else body))
        self._place.wait()
        self._transport.close()


def _status_of(head: bytes) -> tuple[HTTPStatus, bytes]:
    """Return the response status for a request, and its method."""
    if len(head) > MAX_HEAD_BYTES:
        return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, b""
    method, _, rest = head.partition(b"\r\n")[0].partition(b" ")
    target, _, version = rest.partition(b" ")
    if not version.startswith(b"HTTP/1."):
        return HTTPStatus.BAD_REQUEST, b""
    if target.partition(b"?")[0] != b"/metrics":
        return HTTPStatus.NOT_FOUND, method
    return HTTPStatus.OK if method in {b"GET", b"HEAD"} else HTTPStatus.METHOD_NOT_ALLOWED, method
