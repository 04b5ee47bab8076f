"""Samples the memory of a process tree over time, process by process, to show growth as well as a peak."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from benchmarks.meter import family

SAMPLE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Sample:
    """The memory of a tree in MiB at one moment (seconds since the watch began).

    `anonymous` is the part of the total PSS that is not file-backed. The rest changes with other processes that use the
    same libraries.
    """

    at: float
    pss: float
    anonymous: float
    largest_pss: float
    largest_rss: float


class MemoryWatch:
    """Samples the tree under `pid` twice a second inside a `with` block."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._began = time.monotonic()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory-watch", daemon=True)
        self.samples: list[Sample] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def near(self, end: float, seconds: float, value: Callable[[Sample], float]) -> float:
        """Return the mean over the first seconds (end 0) or the last (end 1)."""
        first, last = self.samples[0].at, self.samples[-1].at
        chosen = [s for s in self.samples if (s.at - first <= seconds if end == 0 else last - s.at <= seconds)]
        return sum(map(value, chosen)) / len(chosen)

    def peak(self, value: Callable[[Sample], float]) -> float:
        """Return the largest value seen."""
        return max(map(value, self.samples))

    def _watch(self) -> None:
        while not self._done.is_set():
            if sample := _sample(self._pid, time.monotonic() - self._began):
                self.samples.append(sample)
            self._done.wait(SAMPLE_SECONDS)


def _sample(pid: int, at: float) -> Sample | None:
    sizes = [size for member in family(pid) if (size := smaps_mib(member)) and size["Pss"] > 0]
    if not sizes:
        return None
    shares = [size["Pss"] for size in sizes]
    return Sample(at, sum(shares), sum(size["Pss_Anon"] for size in sizes), max(shares), max(s["Rss"] for s in sizes))


def smaps_mib(pid: int) -> dict[str, float]:
    """Return a process' Rss, Pss and Pss_Anon in MiB; empty if it has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines()[1:]
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return {}
    return {name: int(size.split()[0]) / 1024 for name, _, size in (line.partition(":") for line in lines)}
