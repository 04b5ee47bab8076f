"""Reads lines from a path or standard input, plain or gzipped (recognised by its first bytes), in bounded memory.

A gzip stream that ends too early raises UnreadableFile, so a truncated file is never taken for a complete one.
"""

import gzip
import io
import sys
import zlib
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from worker.errors import UnreadableFile

STANDARD_INPUT = "-"
MAX_LINE_BYTES = 65_536
"""Maximum length of a row. The rest of a longer line is skipped, and never held in memory."""
_BUFFER_BYTES = 262_144
_GZIP = b"\x1f\x8b"
_NOT_TEXT = {
    b"PK\x03\x04": "is a zip file or a spreadsheet: save it as CSV in UTF-8",
    b"\xff\xfe": "is UTF-16: save it in UTF-8",
    b"\xfe\xff": "is UTF-16: save it in UTF-8",
    b"BZh": "is compressed with bzip2: unpack it, or compress it with gzip",
    b"\xfd7zXZ": "is compressed with xz: unpack it, or compress it with gzip",
}
_BOM = b"\xef\xbb\xbf"

Line = tuple[int, bytes]
"""A line's number in the file, from 1, and its bytes without the line end; truncated if it is too long."""


class Lines(Iterator[Line]):
    """The lines of a stream. A caller that read ahead can give lines back."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._number = 0
        self._returned: deque[Line] = deque()

    def __next__(self) -> Line:
        if self._returned:
            return self._returned.popleft()
        try:
            content = self._stream.readline(MAX_LINE_BYTES + 3)
        except (EOFError, OSError, zlib.error) as error:
            raise UnreadableFile(_broken(error, self._number)) from None
        if not content:
            raise StopIteration
        self._number += 1
        if self._number == 1:
            content = content.removeprefix(_BOM)
        if content.endswith(b"\n"):
            return self._number, content[:-2] if content.endswith(b"\r\n") else content[:-1]
        if len(content) > MAX_LINE_BYTES:
            self._skip_rest_of_line()
        return self._number, content

    def give_back(self, lines: list[Line]) -> None:
        """Put lines back in front: they are the next ones, in this order."""
        self._returned.extendleft(reversed(lines))

    def _skip_rest_of_line(self) -> None:
        try:
            while (rest := self._stream.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                continue
        except (EOFError, OSError, zlib.error) as error:
            raise UnreadableFile(_broken(error, self._number)) from None


@contextmanager
def opened(path: str) -> Iterator[Lines]:
    """Open a path, or `-` for standard input; raises UnreadableFile for a file that is not text."""
    if path == STANDARD_INPUT:
        yield Lines(_unpacked(sys.stdin.buffer))
        return
    try:
        stream = Path(path).open("rb", buffering=_BUFFER_BYTES)  # noqa: SIM115 - closed below
    except OSError as error:
        raise UnreadableFile(f"{path} cannot be read: {error.strerror}") from None
    with stream:
        yield Lines(_unpacked(stream))


def _unpacked(stream: BinaryIO) -> BinaryIO:
    buffered = stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(cast("io.RawIOBase", stream))
    try:
        start = buffered.peek(8)[:8]
    except OSError as error:
        raise UnreadableFile(f"the file cannot be read: {error.strerror}") from None
    for magic, problem in _NOT_TEXT.items():
        if start.startswith(magic):
            raise UnreadableFile(f"the file {problem}")
    if not start.startswith(_GZIP):
        return buffered
    return io.BufferedReader(cast("io.RawIOBase", gzip.GzipFile(fileobj=buffered)), _BUFFER_BYTES)


def _broken(error: Exception, after: int) -> str:
    if isinstance(error, EOFError):
        return f"the file is truncated: its gzip stream ends after line {after} without an end mark"
    if isinstance(error, gzip.BadGzipFile | zlib.error):
        return f"the file is damaged: its gzip stream cannot be unpacked after line {after}"
    return f"the file cannot be read after line {after}: {getattr(error, 'strerror', None) or type(error).__name__}"
