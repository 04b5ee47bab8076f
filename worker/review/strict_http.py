"""Reads HTTP/1 more strictly than h11 does, so that no proxy in front can see other requests than we do (smuggling).

h11 takes a bare line feed for the end of a line, joins folded header lines, accepts a second Content-Length that is
equal to the first, and lets Transfer-Encoding win over Content-Length. Here each of them is a RemoteProtocolError.
"""

import re
from typing import Any

import h11
from h11._receivebuffer import ReceiveBuffer

MAX_HEAD_BYTES = 16 * 1024
"""Request line and headers, or the trailers of a body in chunks."""
MAX_HEADERS = 100
MAX_CHUNKS = 2000
"""Of one body: more than a batch of 500 events whose every event and comma is written alone. h11 takes a tenth of a
millisecond for a chunk, so that one client with chunks of a byte could keep all others waiting."""
_END = re.compile(rb"(?<!\r)\n|\r\n\r\n")


class StrictConnection(h11.Connection):
    """The server's side of one connection."""

    def __init__(self) -> None:
        super().__init__(h11.SERVER, MAX_HEAD_BYTES)
        self._receive_buffer = _StrictBuffer()
        self._chunks = 0

    def next_event(self) -> Any:
        """Return what h11 returns; raises RemoteProtocolError also for what it would let pass."""
        event = super().next_event()
        if isinstance(event, h11.Request):
            self._chunks = 0
            _check_framing(event)
        elif isinstance(event, h11.Data):
            self._chunks += event.chunk_start
            if self._chunks > MAX_CHUNKS:
                raise h11.RemoteProtocolError("too many chunks")
        return event


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

    def maybe_extract_next_line(self) -> bytearray | None:
        """Return the line with a chunk's size; an extension is refused, because proxies disagree about its end."""
        line = super().maybe_extract_next_line()
        if line is not None and not re.fullmatch(rb"[0-9A-Fa-f]{1,16}\r\n", line):
            raise h11.RemoteProtocolError("not the size of a chunk")
        return line


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
