"""Limits the events a second of one HTTP producer, with a token bucket in this process' memory.

A request may overdraw the bucket, and the next one waits until it is filled again: so a batch of any permitted size
passes, and the rate holds over time. The rate of calls to Flinks is limited in
`worker/ledger/lua/lib/rate_limit.lua`.
"""

import threading
from collections.abc import Callable


class Allowance:
    """`per_second` tokens a second, saved up for one second at most. Threads may share it."""

    def __init__(self, per_second: float, *, clock: Callable[[], float]) -> None:
        self._per_second = per_second
        self._clock = clock
        self._lock = threading.Lock()
        self._tokens = self._most = max(1.0, per_second)
        self._at = clock()

    def take(self, count: int) -> float:
        """Take `count` tokens and return 0; or take none, and return in how many seconds to ask again.

        A `count` of 0 asks whether the bucket is overdrawn.
        """
        with self._lock:
            now = self._clock()
            self._tokens = min(self._most, self._tokens + (now - self._at) * self._per_second)
            self._at = now
            if self._tokens < min(1.0, count):
                return (1.0 - self._tokens) / self._per_second
            self._tokens -= count
            return 0.0
