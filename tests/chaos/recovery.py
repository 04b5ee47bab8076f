"""Measures how soon calls are settled again once Redis is reachable, while logins are due."""

import statistics
import time
from collections.abc import Callable

from tests.chaos.schedule import Kind

WITHOUT_WORK_SECONDS = 1.0


class Recovery:
    """Times from each return of Redis to the next settled call, by kind of failure. `look` has to be called often."""

    def __init__(self, calls_settled: Callable[[], int], is_work_due: Callable[[], bool]) -> None:
        self._calls_settled, self._is_work_due = calls_settled, is_work_due
        self._awaited: tuple[Kind, float, int] | None = None
        self.seconds: dict[Kind, list[float]] = {}

    @property
    def is_awaited(self) -> bool:
        return self._awaited is not None

    @property
    def worst(self) -> float:
        return max((max(each) for each in self.seconds.values()), default=0)

    def begin(self, after: Kind) -> None:
        """Redis answers, and no client has reached it yet."""
        self._awaited = after, time.monotonic(), self._calls_settled()

    def look(self) -> None:
        """Record the time once a call has been settled; forget it if nothing is left to settle."""
        if self._awaited is None:
            return
        after, began_at, before = self._awaited
        seconds = time.monotonic() - began_at
        if self._calls_settled() > before:
            self.seconds.setdefault(after, []).append(seconds)
            self._awaited = None
        elif seconds > WITHOUT_WORK_SECONDS and not self._is_work_due():
            self._awaited = None

    def figures(self) -> dict[str, str]:
        """Return the measurements by kind of failure."""
        return {
            f"settling again after {after}": f"{min(each):.1f} - {statistics.median(each):.1f} - {max(each):.1f} s"
            f" (min - median - max of {len(each)})"
            for after, each in sorted(self.seconds.items())
        }
