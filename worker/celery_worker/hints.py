"""Sends `refresh.reconcile` and `backfill.feed` messages from a thread of its own.

Sending fails only after seconds while the broker is away; that must delay neither pulses nor intake. A lost message
costs a second, because the next pulse asks again.
"""

import threading
from collections.abc import Callable

WAIT_SECONDS = 1.0


class Hints:
    """Messages to send, each at most once however often it is asked for before `step` sends it."""

    def __init__(self) -> None:
        self._asked: set[Callable[[], None]] = set()
        self._has_asked = threading.Event()
        self._is_closed = False

    def ask(self, send: Callable[[], None]) -> None:
        """Have `step` call `send`; returns at once."""
        self._asked.add(send)
        self._has_asked.set()

    def step(self) -> None:
        """Wait up to WAIT_SECONDS, then send everything that was asked for. Raises what sending raises."""
        if self._has_asked.wait(WAIT_SECONDS):
            self._has_asked.clear()
            while self._asked and not self._is_closed:
                self._asked.pop()()

    def close(self) -> None:
        """Send no more, and end a step that waits."""
        self._is_closed = True
        self._has_asked.set()
