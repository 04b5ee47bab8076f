"""What the watchdog looks at: counters that grow while a worker's parts go on. Does no I/O.

Counters and not times: a process that was stopped and woke up hours later has not been stuck for hours.
"""

from collections import Counter


class Progress:
    """The counters of one worker's parent process. Each part writes its own, the watchdog reads them all."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def made(self, part: str) -> None:
        """Count one more step of a part."""
        self._counts[part] += 1

    def of(self, part: str) -> int:
        """Return how many steps a part has made."""
        return self._counts[part]
