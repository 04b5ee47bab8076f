"""Sends `refresh.reconcile` and `backfill.feed` messages from its own thread.

While the broker is unreachable, sending fails only after seconds, which must not delay pulses or intake. A lost message
costs a second, because the next pulse sends another. A queue that no worker consumes would grow by one message a
second, so nothing is sent to a queue in which many messages wait.
"""

import threading
from collections.abc import Callable

WAIT_SECONDS = 1.0
ENOUGH = 100
"""Messages in a queue, above which another one changes nothing."""


class Hints:
    """Messages to send. Repeated requests for one message are coalesced until `step` sends it."""

    def __init__(self) -> None:
        self.queued: Callable[[tuple[str, ...]], int | None] = lambda _: None
        """Returns how many messages wait in queues, or None if the broker does not say; set when a worker starts."""
        self._asked: dict[Callable[[], None], str] = {}
        self._has_asked = threading.Event()
        self._is_closed = False

    def ask(self, send: Callable[[], None], queue: str) -> None:
        """Make `step` call `send`, which sends a message to `queue`; returns at once."""
        self._asked[send] = queue
        self._has_asked.set()

    def step(self) -> None:
        """Wait up to WAIT_SECONDS for a request, then send all requested messages. Raises the errors of sending."""
        if self._has_asked.wait(WAIT_SECONDS):
            self._has_asked.clear()
            while self._asked and not self._is_closed:
                send, queue = self._asked.popitem()
                if (self.queued((queue,)) or 0) < ENOUGH:
                    send()

    def close(self) -> None:
        """Stop sending, and end a waiting step."""
        self._is_closed = True
        self._has_asked.set()
