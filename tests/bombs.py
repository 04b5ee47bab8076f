"""Bodies of a few kilobytes that decompress to 256 MiB, and the peak memory of a worker."""

import bz2
import lzma
import zlib
from functools import cache
from pathlib import Path
from typing import Any

from sandbox.stack import ManagedProcess

_PIECE = bytes(2**24)
_PIECES = 16
PEAK_MIB = 220
"""Limit for each process of a worker: well above its memory in these tests, and below any of these bodies alone."""


BOUNDED = ("gzip", "x-gzip", "x-bz2", "many streams of bzip2", "x-lzma", "xz", "zstd", "brotli")
"""Bombs whose compression is named in the header `compression`."""


@cache
def bombs() -> dict[str, tuple[bytes, dict[str, str]]]:
    """Map a compression to its body and to the headers or properties that name it."""
    gzip, bz2_bomb, lzma_bomb = _squeezed(zlib.compressobj(9)), _squeezed(bz2.BZ2Compressor()), lzma.compress(_PIECE)
    return {
        "gzip": (gzip, {"compression": "gzip"}),
        "x-gzip": (gzip, {"compression": "application/x-gzip"}),
        "x-bz2": (bz2_bomb, {"compression": "application/x-bz2"}),
        "many streams of bzip2": (bz2.compress(_PIECE) * _PIECES, {"compression": "bzip2"}),
        "x-lzma": (lzma_bomb * _PIECES, {"compression": "application/x-lzma"}),
        "xz": (lzma_bomb * _PIECES, {"compression": "xz"}),
        "zstd": (b"(\xb5/\xfd", {"compression": "zstd"}),
        "brotli": (b"\x0b", {"compression": "brotli"}),
        "a codec for data": (bz2_bomb, {"content-type": "application/data", "content-encoding": "bz2"}),
        "a codec for text": (gzip, {"content-type": "application/text", "content-encoding": "zlib"}),
    }


def peak_mib(worker: ManagedProcess) -> float:
    """Return the peak memory of the worker and its present children."""
    return max(_peak_kib(pid) for pid in (worker.pid, *worker.children())) / 1024


def _peak_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def _squeezed(compressor: Any) -> bytes:
    return b"".join(compressor.compress(_PIECE) for _ in range(_PIECES)) + compressor.flush()
