"""Detects a growing process: samples memory, threads and open files while it is idle.

Growth is the difference between the medians of the last and the first third of the samples, so that neither a slow
start nor one odd sample decides. Reads /proc, so it needs Linux.
"""

import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from statistics import median_low

MAY_GROW_SHARE = 0.05
"""Allowed growth of memory. A leak of 170 bytes a request shows as 30 MB in 600 s at 300 requests a second."""
MAY_GROW_MB = 6.0
MAY_GROW_THREADS = 46
MAY_GROW_FILES = 46
"""Threads, each with a connection to Redis, are created on demand and kept: up to anyio's 40 and, on two cores, 6 of
asyncio. How many are needed at once is chance; a leak passes any number."""
EVERY_SECONDS = 0.1
AGREEING = 10
"""Samples in a row with the same number of open files, after which all connections of clients are closed."""


@dataclass(frozen=True)
class Sample:
    """One sample of a process."""

    memory_mb: float
    threads: int
    files: int

    def __str__(self) -> str:
        return f"{self.memory_mb:.1f} MB, {self.threads} threads, {self.files} open files"


def sample(pid: int) -> Sample:
    """Sample a process; raises OSError if it has ended."""
    proc = Path(f"/proc/{pid}")
    lines = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
    files = len(list((proc / "fd").iterdir()))
    return Sample(int(lines["VmRSS"].split()[0]) / 1024, int(lines["Threads"]), files)


def sample_at_rest(pid: int, *, seconds: float = 30) -> Sample:
    """Sample a process once its number of open files is stable for a second, or the time is up."""
    seen = [sample(pid)]
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        time.sleep(EVERY_SECONDS)
        seen = [*seen[1 - AGREEING :], sample(pid)]
        if len(seen) == AGREEING and len({each.files for each in seen}) == 1:
            break
    return seen[-1]


def growth(samples: Sequence[Sample]) -> list[str]:
    """Return one line for each figure that grew more than allowed."""
    third = max(1, len(samples) // 3)
    first, last = (
        [median_low(values) for values in zip(*map(astuple, part), strict=True)]
        for part in (samples[:third], samples[-third:])
    )
    may_grow = (MAY_GROW_MB + MAY_GROW_SHARE * first[0], MAY_GROW_THREADS, MAY_GROW_FILES)
    names = ("memory (MB)", "threads", "open files")
    return [
        f"{name} grew from {before:g} to {after:g}, by more than {bound:g}"
        for name, before, after, bound in zip(names, first, last, may_grow, strict=True)
        if after - before > bound
    ]
