"""Sends wake-ups from a thread of its own, any number of wishes as one, so that a broker that is away holds up nobody.

The ledger may answer while the broker does not; a message to it takes seconds to fail then.
"""

import os
import threading
from collections.abc import Callable

WAIT_SECONDS = 1.0


class WakeUp:
    """A wish for a wake-up, carried out by `step` in the process that made this."""

    def __init__(self, send: Callable[[], None]) -> None:
        self._send = send
        self._wanted = threading.Event()
        self._is_closed = False
        self._pid = os.getpid()

    @property
    def is_mine(self) -> bool:
        """Whether this process runs the steps: a child that was forked later does not."""
        return self._pid == os.getpid()

    def ask(self) -> None:
        """Wish for one; returns at once."""
        self._wanted.set()

    def step(self) -> None:
        """Wait a moment for a wish, and send one message for all there are. Raises what sending raises."""
        if self._wanted.wait(WAIT_SECONDS):
            self._wanted.clear()
            if not self._is_closed:
                self._send()

    def close(self) -> None:
        """Send no more, and end a step that waits: whoever is left is woken by another worker's pulse."""
        self._is_closed = True
        self._wanted.set()
