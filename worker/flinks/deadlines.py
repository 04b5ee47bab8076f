"""Ends calls that outlive their deadline, by one timer for all of them: asyncio.timeout arms one for each.

Arming and disarming a timer took a tenth of all that a call costs.
"""

import asyncio
from types import TracebackType

from worker.clock import elapsed_seconds

LOOK_SECONDS = 0.05
"""A deadline may be kept so much too late: what waits for it has seconds of margin."""


class Deadlines:
    """The deadlines of one event loop's calls."""

    def __init__(self) -> None:
        self._open: set[Deadline] = set()
        self._is_looking = False

    def within(self, seconds: float) -> "Deadline":
        """Return what, entered by `with`, raises TimeoutError in its task so many seconds from now, or a look later."""
        return Deadline(self, elapsed_seconds() + seconds)

    def add(self, deadline: "Deadline") -> None:
        """Watch a deadline from now on."""
        self._open.add(deadline)
        if not self._is_looking:
            self._is_looking = True
            asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    def remove(self, deadline: "Deadline") -> None:
        """Watch it no more; harmless where it has passed."""
        self._open.discard(deadline)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        now = elapsed_seconds()
        for deadline in [deadline for deadline in self._open if deadline.at <= now]:
            self._open.discard(deadline)
            deadline.expire()
        self._is_looking = bool(self._open)
        if self._is_looking:
            loop.call_later(LOOK_SECONDS, self._look)


class Deadline:
    """One call's deadline, `at` by `elapsed_seconds`. Somebody else's cancellation of the task stays a cancellation."""

    __slots__ = ("_all", "_cancelled_before", "_has_expired", "_task", "at")

    def __init__(self, deadlines: Deadlines, at: float) -> None:
        self._all, self.at = deadlines, at
        self._has_expired = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a deadline belongs to a task")
        self._task, self._cancelled_before = task, task.cancelling()
        self._all.add(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._all.remove(self)
        if self._has_expired and self._task.uncancel() <= self._cancelled_before and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def expire(self) -> None:
        """End what the task waits for."""
        self._has_expired = True
        self._task.cancel()
