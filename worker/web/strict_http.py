"""Reads HTTP/1 more strictly than h11 does, so that no proxy in front can see other requests than we do (smuggling).

h11 takes a bare line feed for the end of a line, joins folded header lines, accepts a second Content-Length that is
equal to the first, and lets Transfer-Encoding win over Content-Length. Here each of them is a RemoteProtocolError.
Chunks are read here too: h11 takes 20 microseconds for each, so that a few clients with chunks of a byte could keep all
others waiting for a minute.
"""

import re
from typing import Any

import h11
from h11._readers import ChunkedReader
from h11._receivebuffer import ReceiveBuffer

MAX_HEAD_BYTES = 16 * 1024
"""Request line and headers, or the trailers of a body in chunks."""
MAX_HEADERS = 100
MAX_CHUNKS = 1100
"""Of one body: more than a batch of 500 events whose every event and comma is written alone."""
_END = re.compile(rb"(?<!\r)\n|\r\n\r\n")
_SIZE, _NEXT_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})\r\n"), re.compile(rb"\r\n([0-9A-Fa-f]{1,16})\r\n")
"""Of a chunk. An extension after it is refused, because proxies disagree about its end."""
_BEGUN_SIZE = re.compile(rb"[0-9A-Fa-f]{1,16}\r?")
_BEGUN_NEXT_SIZE = re.compile(rb"\r(\n([0-9A-Fa-f]{1,16}\r?)?)?")


class StrictConnection(h11.Connection):
    """The server's side of one connection."""

    def __init__(self) -> None:
        super().__init__(h11.SERVER, MAX_HEAD_BYTES)
        self._receive_buffer = _StrictBuffer()

    def next_event(self) -> Any:
        """Return what h11 returns; raises RemoteProtocolError also for what it would let pass."""
        event = super().next_event()
        if isinstance(event, h11.Request):
            _check_framing(event)
            if isinstance(self._reader, ChunkedReader):
                self._reader = _Chunks()
        return event


class _Chunks(ChunkedReader):
    """Reads the chunks of one body; all that have come are one piece of data."""

    def __init__(self) -> None:
        super().__init__()
        self._count = 0
        self._left = 0
        """Bytes of the current chunk that are still to come."""
        self._ends = False
        """Whether the line's end after it is still to come."""

    def __call__(self, buf: ReceiveBuffer) -> h11.Data | h11.EndOfMessage | None:
        """Return what has come of the body, then its end with the trailers."""
        data = b"" if self._reading_trailer else self._read(buf)
        if data:
            return h11.Data(data)
        return super().__call__(buf) if self._reading_trailer else None

    def _read(self, buf: ReceiveBuffer) -> bytes:
        raw, at, pieces = bytes(buf), 0, []
        while at < len(raw):
            if not self._left:
                found = (_NEXT_SIZE if self._ends else _SIZE).match(raw, at)
                if found is None:
                    self._check_begun(raw[at:])
                    break
                at, self._left, self._ends = found.end(), int(found[1], 16), True
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

    def _check_begun(self, raw: bytes) -> None:
        if not (_BEGUN_NEXT_SIZE if self._ends else _BEGUN_SIZE).fullmatch(raw):
            raise h11.RemoteProtocolError("not the size of a chunk, or a chunk that is longer than its size")


class _StrictBuffer(ReceiveBuffer):
    def maybe_extract_lines(self) -> list[bytearray] | None:
        """Return the lines of a head or of trailers when they are complete; only CR LF ends a line."""
        if self._data[:2] == b"\r\n":
            self._extract(2)
            return []
        found = _END.search(self._data, max(0, self._multiple_lines_search))
        if found is None:
            self._multiple_lines_search = len(self._data) - len(b"\r\n\r")
            return None
        if found[0] == b"\n":
            raise h11.RemoteProtocolError("a bare line feed")
        if found.end() > MAX_HEAD_BYTES:  # h11 looks only at heads that are not complete yet
            raise h11.RemoteProtocolError("too long a head")
        lines = self._extract(found.end())[: -len(b"\r\n\r\n")].split(b"\r\n")
        _check_lines(lines)
        return lines


def _check_lines(lines: list[bytearray]) -> None:
    if len(lines) > MAX_HEADERS + 1:
        raise h11.RemoteProtocolError("too many headers")
    if any(line[:1] in {b" ", b"\t"} or b"\r" in line for line in map(bytes, lines)):
        raise h11.RemoteProtocolError("a folded header, or a bare carriage return")
    lengths = [line for line in lines if line.lower().startswith(b"content-length:")]
    if len(lengths) > 1 or any(b"," in line for line in lengths):
        raise h11.RemoteProtocolError("two lengths of one body")


def _check_framing(request: h11.Request) -> None:
    names = [name for name, _ in request.headers]
    if b"transfer-encoding" not in names:
        return
    if b"content-length" in names or request.http_version < b"1.1":
        raise h11.RemoteProtocolError("Transfer-Encoding with Content-Length, or in HTTP/1.0")
