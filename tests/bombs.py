"""Bodies of a few kilobytes that decompress to 256 MiB, and the peak memory of a worker."""

import base64
import bz2
import lzma
import zlib
from functools import cache
from pathlib import Path

from sandbox.stack import ManagedProcess

_PIECE = bytes(2**24)
_PIECES = 16
_BZ2 = base64.b64decode(
    "QlpoOTFBWSZTWQ4J4t8BX45AAMAAAAggADCATUZCoCWpCoCXMUFZJlNZDgni3wFfjkAAwAAACCAAMIBNRkKgJakKgJcxQVkmU1kO"
    "CeLfAV+OQADAAAAIIAAwgE1GQqAlqQqAlzFBWSZTWQ4J4t8BX45AAMAAAAggADCATUZCoCWpCoCXMUFZJlNZDgni3wFfjkAAwAAA"
    "CCAAMIBNRkKgJakKgJcxQVkmU1kezuTbASo/wADABAAIIAAwzAUppqqoSRsAIkjxdyRThQkGsXyvAA=="
)
"""`bz2.compress(bytes(2**28))`, which takes 1.5 s of CPU."""
PEAK_MIB = 220
"""Limit for each process of a worker: well above its memory in these tests, and below any of these bodies alone."""


BOUNDED = ("gzip", "x-gzip", "x-bz2", "many streams of bzip2", "x-lzma", "xz", "zstd", "brotli")
"""Bombs whose compression is named in the header `compression`."""


@cache
def bombs() -> dict[str, tuple[bytes, dict[str, str]]]:
    """Map a compression to its body and to the headers or properties that name it."""
    gzip, lzma_bomb = _gzip(), lzma.compress(_PIECE, preset=0)
    return {
        "gzip": (gzip, {"compression": "gzip"}),
        "x-gzip": (gzip, {"compression": "application/x-gzip"}),
        "x-bz2": (_BZ2, {"compression": "application/x-bz2"}),
        "many streams of bzip2": (bz2.compress(_PIECE) * _PIECES, {"compression": "bzip2"}),
        "x-lzma": (lzma_bomb * _PIECES, {"compression": "application/x-lzma"}),
        "xz": (lzma_bomb * _PIECES, {"compression": "xz"}),
        "zstd": (b"(\xb5/\xfd", {"compression": "zstd"}),
        "brotli": (b"\x0b", {"compression": "brotli"}),
        "a codec for data": (_BZ2, {"content-type": "application/data", "content-encoding": "bz2"}),
        "a codec for text": (gzip, {"content-type": "application/text", "content-encoding": "zlib"}),
    }


def peak_mib(worker: ManagedProcess) -> float:
    """Return the peak memory of the worker and its present children."""
    return max(_peak_kib(pid) for pid in (worker.pid, *worker.children())) / 1024


def _peak_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def _gzip() -> bytes:
    """Return one stream of equal parts, of which only the first is compressed: after a full flush, all are the same."""
    compressor = zlib.compressobj(9)
    part = compressor.compress(_PIECE) + compressor.flush(zlib.Z_FULL_FLUSH)
    header, end = part[:2], zlib.compress(b"")[2:-4]
    checksum = 1
    for _ in range(_PIECES):
        checksum = zlib.adler32(_PIECE, checksum)
    return header + part[2:] * _PIECES + end + checksum.to_bytes(4)
