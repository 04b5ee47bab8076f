"""Sends `refresh.reconcile` and `backfill.feed` messages from its own thread.

While the broker is unreachable, sending fails only after seconds, which must not delay pulses or intake. A lost message
costs a second, because the next pulse sends another.
"""

import threading
from collections.abc import Callable

WAIT_SECONDS = 1.0


class Hints:
    """Messages to send. Repeated requests for one message are coalesced until `step` sends it."""

    def __init__(self) -> None:
        self._asked: set[Callable[[], None]] = set()
        self._has_asked = threading.Event()
        self._is_closed = False

    def ask(self, send: Callable[[], None]) -> None:
        """Make `step` call `send`; returns at once."""
        self._asked.add(send)
        self._has_asked.set()

    def step(self) -> None:
        """Wait up to WAIT_SECONDS for a request, then send all requested messages. Raises the errors of sending."""
        if self._has_asked.wait(WAIT_SECONDS):
            self._has_asked.clear()
            while self._asked and not self._is_closed:
                self._asked.pop()()

    def close(self) -> None:
        """Stop sending, and end a waiting step."""
        self._is_closed = True
        self._has_asked.set()
