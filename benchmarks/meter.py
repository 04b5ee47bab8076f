"""Reads CPU time and memory from /proc, for a process and all its descendants."""

import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Self

_TICK = os.sysconf("SC_CLK_TCK")
SAMPLE_SECONDS = 0.2


def family(pid: int) -> list[int]:
    """Return a process and its live descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, todo = [], [pid]
    while todo:
        found.append(todo.pop())
        todo += children.get(found[-1], [])
    return found


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the user and system time of these processes and of their ended children."""
    return sum(sum(map(int, fields[11:15])) for pid in pids if (fields := _stat(pid))) / _TICK


def memory_mib(pid: int) -> float:
    """Return the PSS of a process, 0 if it has ended: pages shared by forked children count once over all."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)


class Meter:
    """Measures process trees inside a `with` block: total CPU seconds, and peak memory (total, largest process)."""

    def __init__(self, *roots: int) -> None:
        self._roots = roots
        self._started = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.cpu_seconds = 0.0
        self.peak_mib = 0.0
        self.peak_process_mib = 0.0

    def __enter__(self) -> Self:
        self._started = cpu_seconds(self._members())
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.cpu_seconds = cpu_seconds(self._members()) - self._started
        self._done.set()
        self._thread.join()
        self._sample()

    def _members(self) -> set[int]:
        return {pid for root in self._roots for pid in family(root)}

    def _watch(self) -> None:
        while not self._done.wait(SAMPLE_SECONDS):
            self._sample()

    def _sample(self) -> None:
        sizes = [memory_mib(pid) for pid in self._members()]
        self.peak_mib = max(self.peak_mib, sum(sizes))
        self.peak_process_mib = max([self.peak_process_mib, *sizes])


def _stat(pid: int) -> list[str]:
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text[text.rindex(")") + 2 :].split()
