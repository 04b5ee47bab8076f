"""Limits the events a second of one HTTP producer, with a token bucket in the memory of this process.

A request may overdraw the bucket, and the next one is refused until it is positive again: so a batch of any permitted
size is accepted, and the rate holds over time. `worker/ledger/lua/lib/rate_limit.lua` limits the calls to Flinks.
"""

import threading
from collections.abc import Callable


class Allowance:
    """A bucket that fills at `per_second` tokens a second and holds those of one second. Threads may share it."""

    def __init__(self, per_second: float, *, clock: Callable[[], float]) -> None:
        self._per_second = per_second
        self._clock = clock
        self._lock = threading.Lock()
        self._tokens = self._most = max(1.0, per_second)
        self._at = clock()

    def take(self, count: int) -> float:
        """Take `count` tokens and return 0, or take none and return the seconds to wait.

        A `count` of 0 checks whether the bucket is overdrawn.
        """
        with self._lock:
            now = self._clock()
            self._tokens = min(self._most, self._tokens + (now - self._at) * self._per_second)
            self._at = now
            if self._tokens < min(1.0, count):
                return (1.0 - self._tokens) / self._per_second
            self._tokens -= count
            return 0.0
