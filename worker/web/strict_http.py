"""Parses HTTP/1 more strictly than h11, so that a proxy in front and this server see the same requests (smuggling).

h11 accepts a bare line feed as a line end, folded headers, two equal Content-Length headers, and Content-Length with
Transfer-Encoding; here each raises RemoteProtocolError. Chunks are also parsed here: h11 takes 20 microseconds a
chunk, so a few clients that send chunks of one byte could block all others for a minute.
"""

import re
from typing import Any

import h11
from h11._readers import ChunkedReader
from h11._receivebuffer import ReceiveBuffer

MAX_HEAD_BYTES = 16 * 1024
"""Maximum size of request line and headers, and of the trailers of a chunked body."""
MAX_HEADERS = 100
MAX_CHUNKS = 1100
"""Maximum chunks of one body. A batch of 500 events fits if each event and each comma is a chunk of its own."""
_END = re.compile(rb"(?<!\r)\n|\r\n\r\n")
_SIZE, _NEXT_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})\r\n"), re.compile(rb"\r\n([0-9A-Fa-f]{1,16})\r\n")
"""A chunk's size line. A chunk extension is refused, because proxies disagree about its end."""
_PARTIAL_SIZE = re.compile(rb"[0-9A-Fa-f]{1,16}\r?")
_PARTIAL_NEXT_SIZE = re.compile(rb"\r(\n([0-9A-Fa-f]{1,16}\r?)?)?")


class StrictConnection(h11.Connection):
    """The server side of one connection."""

    def __init__(self) -> None:
        super().__init__(h11.SERVER, MAX_HEAD_BYTES)
        self._receive_buffer = _StrictBuffer()

    def next_event(self) -> Any:
        """Return h11's next event; raises RemoteProtocolError also for ambiguous requests that h11 accepts."""
        event = super().next_event()
        if isinstance(event, h11.Request):
            _check_framing(event)
            if isinstance(self._reader, ChunkedReader):
                self._reader = _Chunks()
        return event


class _Chunks(ChunkedReader):
    """Reads the chunks of one body. Chunks that arrive together are joined into one h11.Data."""

    def __init__(self) -> None:
        super().__init__()
        self._count = 0
        self._left = 0
        """Bytes of the current chunk that have not arrived."""
        self._ends = False
        """Whether a line end must come before the next size, as after every chunk."""

    def __call__(self, buf: ReceiveBuffer) -> h11.Data | h11.EndOfMessage | None:
        """Return the data that has arrived, and after the last chunk the end of the message with its trailers."""
        data = b"" if self._reading_trailer else self._read(buf)
        if data:
            return h11.Data(data)
        return super().__call__(buf) if self._reading_trailer else None

    def _read(self, buf: ReceiveBuffer) -> bytes:
        raw, at, pieces = bytes(buf), 0, []
        while at < len(raw):
            if not self._left:
                size = (_NEXT_SIZE if self._ends else _SIZE).match(raw, at)
                if size is None:
                    self._check_partial_size(raw[at:])
                    break
                at, self._left, self._ends = size.end(), int(size[1], 16), True
                if not self._left:
                    self._reading_trailer = True
                    break
                self._count += 1
                if self._count > MAX_CHUNKS:
                    raise h11.RemoteProtocolError("too many chunks")
            piece = raw[at : at + self._left]
            pieces.append(piece)
            at, self._left = at + len(piece), self._left - len(piece)
        buf.maybe_extract_at_most(at)
        return b"".join(pieces)

    def _check_partial_size(self, raw: bytes) -> None:
        if not (_PARTIAL_NEXT_SIZE if self._ends else _PARTIAL_SIZE).fullmatch(raw):
            raise h11.RemoteProtocolError("not a chunk size, or a chunk that is longer than its size")


class _StrictBuffer(ReceiveBuffer):
    def maybe_extract_lines(self) -> list[bytearray] | None:
        """Return the lines of a head or of trailers once they are complete; only CR LF ends a line."""
        if self._data[:2] == b"\r\n":
            self._extract(2)
            return []
        match = _END.search(self._data, max(0, self._multiple_lines_search))
        if match is None:
            self._multiple_lines_search = len(self._data) - len(b"\r\n\r")
            return None
        if match[0] == b"\n":
            raise h11.RemoteProtocolError("a bare line feed")
        if match.end() > MAX_HEAD_BYTES:  # h11 checks the size only of a head that is not complete yet
            raise h11.RemoteProtocolError("the head is too long")
        lines = self._extract(match.end())[: -len(b"\r\n\r\n")].split(b"\r\n")
        _check_lines(lines)
        return lines


def _check_lines(lines: list[bytearray]) -> None:
    if len(lines) > MAX_HEADERS + 1:
        raise h11.RemoteProtocolError("too many headers")
    if any(line[:1] in {b" ", b"\t"} or b"\r" in line for line in map(bytes, lines)):
        raise h11.RemoteProtocolError("a folded header, or a bare carriage return")
    lengths = [line for line in lines if line.lower().startswith(b"content-length:")]
    if len(lengths) > 1 or any(b"," in line for line in lengths):
        raise h11.RemoteProtocolError("two Content-Length values")


def _check_framing(request: h11.Request) -> None:
    names = [name for name, _ in request.headers]
    if b"transfer-encoding" not in names:
        return
    if b"content-length" in names or request.http_version < b"1.1":
        raise h11.RemoteProtocolError("Transfer-Encoding with Content-Length, or in HTTP/1.0")
