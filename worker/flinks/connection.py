"""One HTTP/1.1 connection: writes a request, and reads the answer with llhttp, the parser of Node (httptools).

Nothing that a server sends can take more than MAX_ANSWER_BYTES of memory, or outlast the deadline of the call.
"""

import asyncio
import ssl
from typing import cast

import httpx
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from worker.flinks.failures import FailureKind, Progress
from worker.flinks.messages import RawResponse
from worker.flinks.response_body import MAX_BODY_BYTES

MAX_HEAD_BYTES = 32_768
"""Status line and headers, those of interim answers (1xx) included."""
MAX_HEADERS = 100
MAX_ANSWER_BYTES = 1_048_576
"""As sent: head, sizes of chunks and trailers included."""
_LENGTHS = frozenset({b"content-length", b"transfer-encoding"})
_FIRST_STATUS, _SWITCHING, _FIRST_FINAL = 100, 101, 200  # numbers, because HTTPStatus takes longer to compare


class CallFailed(httpx.TransportError):
    """A call ended without an answer: what went wrong, and how far the call had got."""

    def __init__(self, kind: FailureKind, progress: Progress) -> None:
        super().__init__(f"{kind.name.lower()}, {progress.name.lower()}")
        self.kind, self.progress = kind, progress


class _RefusedError(Exception):
    """Ends the parser's work on an answer that we do not accept."""


class Connection(asyncio.BufferedProtocol):
    """Carries one request at a time; the methods `on_...` are called by the parser.

    `buffer` is where the event loop puts what came; the connections of one event loop may share it. For a protocol
    without a buffer, asyncio (and uvloop with TLS) allocates 256 KiB for each read.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, buffer: memoryview) -> None:
        self._loop, self._buffer = loop, buffer
        self._parser = HttpResponseParser(self)
        self._waiter: asyncio.Future[RawResponse] | None = None
        self._seen, self._status = 0, 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._names: set[bytes] = set()
        self._body = bytearray()
        self._is_head_whole = self._is_whole = self._is_last = False
        self.is_usable = True
        """Whether a request may be written: not while another one has no answer, nor after a failure."""
        self.used_at = float("-inf")
        """When the last call ended, as `ends_at`."""
        self.ends_at = 0.0
        """When `expire` is due, by the clock of the event loop."""

    def ask(self, request: bytes) -> asyncio.Future[RawResponse]:
        """Write a request. The future returned gets its answer, or CallFailed.

        Close the connection if it is not usable then, or if nobody waits for the answer any more.
        """
        if not self.is_usable:  # the server closed it, or sent bytes before it was asked
            raise CallFailed(FailureKind.CLOSED, Progress.CONNECTED)
        self.is_usable = False
        self._seen = 0
        self._is_head_whole = self._is_whole = False
        self._waiter = self._loop.create_future()
        self._transport.write(request)
        return self._waiter

    def expire(self) -> None:
        """End the call in progress as timed out, and close."""
        self._fail(FailureKind.TIMEOUT)

    def close(self) -> None:
        """Close at once; TLS sends no goodbye, which would wait for the server's."""
        self.is_usable = False
        self._transport.abort()

    def _fail(self, kind: FailureKind) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_exception(CallFailed(kind, Progress.ANSWERED if self._seen else Progress.WRITTEN))
        self.close()

    def _end(self, waiter: asyncio.Future[RawResponse]) -> None:
        waiter.set_result(RawResponse(self._status, self._headers, self._names, bytes(self._body)))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport, which is a plain or a TLS one."""
        self._transport = cast("asyncio.Transport", transport)

    def get_buffer(self, _: int) -> memoryview:
        """Return where the event loop shall put what came. It calls `buffer_updated` before anything else."""
        return self._buffer

    def buffer_updated(self, count: int) -> None:
        """Parse what came. Bytes that no request asked for could pass as the answer to the next one: close."""
        waiter = self._waiter
        if waiter is None or waiter.done():
            self.close()
            return
        is_sound = self._parse(self._buffer[:count])
        if self._is_whole:
            self.is_usable = is_sound and not self._is_last
            self._end(waiter)
        elif not is_sound:
            self._fail(FailureKind.PROTOCOL)

    def _parse(self, data: memoryview) -> bool:
        """Feed the parser; returns False if what came is no answer that we accept, or too long."""
        room = (MAX_ANSWER_BYTES if self._is_head_whole else MAX_HEAD_BYTES) - self._seen
        if len(data) > room:
            return room > 0 and self._parse(data[:room]) and self._parse(data[room:])
        self._seen += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            return False
        return True

    def eof_received(self) -> None:
        """Note that the server closed its side; asyncio then closes ours."""
        self.is_usable = False

    def connection_lost(self, error: Exception | None) -> None:
        """End the call in progress: with its answer, if that lasts until the connection is closed."""
        self.is_usable = False
        if self._waiter is None or self._waiter.done():
            return
        if error is None and self._is_head_whole and self._status >= _FIRST_FINAL and _LENGTHS.isdisjoint(self._names):
            self._end(self._waiter)
        else:
            self._fail(FailureKind.TLS if isinstance(error, ssl.SSLError) else FailureKind.CLOSED)

    def on_message_begin(self) -> None:
        """Refuse a second answer: one request, one answer, after any number of interim ones."""
        if self._is_whole:
            raise _RefusedError
        self._headers, self._body, self._is_head_whole = [], bytearray(), False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header. Trailers, which come after the body, are dropped."""
        if not self._is_head_whole:
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Refuse what would leave in doubt where the body ends."""
        self._status = status = self._parser.get_status_code()
        if status < _FIRST_STATUS or status == _SWITCHING or len(self._headers) > MAX_HEADERS:
            raise _RefusedError
        self._names = names = {name.lower() for name, _ in self._headers}
        if b"transfer-encoding" in names and (b"content-length" in names or not self._is_chunked_alone()):
            raise _RefusedError
        self._is_head_whole = True

    def _is_chunked_alone(self) -> bool:
        codings = [value.lower() for name, value in self._headers if name.lower() == b"transfer-encoding"]
        return codings == [b"chunked"]

    def on_body(self, data: bytes) -> None:
        """Collect the body up to the limit; what follows is not read, so the connection cannot be used again."""
        if self._is_whole:
            return
        self._body += data
        if len(self._body) >= MAX_BODY_BYTES:
            del self._body[MAX_BODY_BYTES:]
            self._is_whole = self._is_last = True

    def on_message_complete(self) -> None:
        """Note that the answer is whole, unless it was an interim one, and whether another request may follow."""
        if self._status < _FIRST_FINAL:
            self._is_head_whole = False
        elif not self._is_whole:
            self._is_whole, self._is_last = True, not self._parser.should_keep_alive()
