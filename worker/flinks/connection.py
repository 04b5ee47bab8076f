"""One HTTP/1.1 connection: writes a request, and reads the answer with llhttp, the parser of Node (httptools).

Nothing that a server sends can take more than MAX_ANSWER_BYTES of memory, or outlast the deadline of the call.
"""

import asyncio
import ssl
from http import HTTPStatus
from typing import NamedTuple, cast

import httpx
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from worker.flinks.failures import FailureKind, Progress
from worker.flinks.response_body import MAX_BODY_BYTES

MAX_HEAD_BYTES = 32_768
"""Status line and headers, those of interim answers (1xx) included."""
MAX_HEADERS = 100
MAX_ANSWER_BYTES = 1_048_576
"""As sent: head, sizes of chunks and trailers included."""


class CallFailed(httpx.TransportError):
    """A call ended without an answer: what went wrong, and how far the call had got."""

    def __init__(self, kind: FailureKind, progress: Progress) -> None:
        super().__init__(f"{kind.name.lower()}, {progress.name.lower()}")
        self.kind, self.progress = kind, progress


class Answer(NamedTuple):
    """An answer as it came over the wire. The body is cut after MAX_BODY_BYTES."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class _RefusedError(Exception):
    """Ends the parser's work on an answer that we do not accept."""


class Connection(asyncio.Protocol):
    """Carries one request at a time; the methods `on_...` are called by the parser."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._parser = HttpResponseParser(self)
        self._waiter: asyncio.Future[None] | None = None
        self._failure: CallFailed | None = None
        self.is_usable = True
        """Whether another request may be written once the present one has its answer."""
        self.ends_at = 0.0
        """When `expire` is due, by the clock of the event loop."""
        self._expect_answer()

    async def exchange(self, request: bytes) -> Answer:
        """Write a request and return its answer; raises CallFailed. A connection that failed is closed."""
        if not self.is_usable:  # the server closed it, or sent bytes before it was asked
            raise CallFailed(FailureKind.CLOSED, Progress.CONNECTED)
        self._expect_answer()
        waiter = self._waiter = self._loop.create_future()
        self._progress = Progress.WRITTEN
        self._transport.write(request)
        try:
            await waiter
        finally:
            self._waiter = None
            if not self._is_whole or not self.is_usable:
                self.close()
        if self._failure:
            raise self._failure
        return Answer(self._status, self._headers, bytes(self._body))

    def expire(self) -> None:
        """End the call in progress as timed out, and close."""
        self._fail(FailureKind.TIMEOUT)

    def close(self) -> None:
        """Close at once; TLS sends no goodbye, which would wait for the server's."""
        self.is_usable = False
        self._transport.abort()

    def _expect_answer(self) -> None:
        self._status, self._seen, self._body = 0, 0, bytearray()
        self._headers: list[tuple[bytes, bytes]] = []
        self._is_head_whole = self._is_whole = self._ends_with_connection = False
        self._progress = Progress.CONNECTED

    def _fail(self, kind: FailureKind) -> None:
        if self._waiter and not self._waiter.done():
            self._failure = CallFailed(kind, self._progress)
            self._waiter.set_result(None)
        self.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport, which is a plain or a TLS one."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Parse what came. Bytes that no request asked for could pass as the answer to the next one: close."""
        if self._waiter is None or self._waiter.done():
            self.close()
            return
        self._progress = Progress.ANSWERED
        while data and self.is_usable:
            room = max(0, (MAX_ANSWER_BYTES if self._is_head_whole else MAX_HEAD_BYTES) - self._seen)
            part, data = data[:room], data[room:]
            self._seen += len(part)
            if not part or not self._parse(part):
                self.is_usable = False
        if self._is_whole:
            self._waiter.set_result(None)
        elif not self.is_usable:
            self._fail(FailureKind.PROTOCOL)

    def _parse(self, data: bytes) -> bool:
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
        if self._ends_with_connection and error is None and self._waiter and not self._waiter.done():
            self._is_whole = True
            self._waiter.set_result(None)
        else:
            self._fail(FailureKind.TLS if isinstance(error, ssl.SSLError) else FailureKind.CLOSED)

    def on_message_begin(self) -> None:
        """Refuse a second answer: one request, one answer."""
        if self._is_whole:
            raise _RefusedError

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header. Trailers, which come after the body, are dropped."""
        if not self._is_head_whole:
            self._headers.append((name, value))
            if len(self._headers) > MAX_HEADERS:
                raise _RefusedError

    def on_headers_complete(self) -> None:
        """Refuse what would leave in doubt where the body ends."""
        self._status = self._parser.get_status_code()
        if self._status < HTTPStatus.CONTINUE or self._status == HTTPStatus.SWITCHING_PROTOCOLS:
            raise _RefusedError
        names = [name.lower() for name, _ in self._headers]
        has_coding, has_length = b"transfer-encoding" in names, b"content-length" in names
        if has_coding and (has_length or not self._is_chunked_alone()):
            raise _RefusedError
        self._ends_with_connection = not has_coding and not has_length and self._status >= HTTPStatus.OK
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
            self._is_whole, self.is_usable = True, False

    def on_message_complete(self) -> None:
        """Forget an interim answer, and note whether the connection may be used after a final one."""
        if self._status < HTTPStatus.OK:
            self._headers, self._is_head_whole = [], False
            return
        self._is_whole = True
        self.is_usable = self.is_usable and self._parser.should_keep_alive()
