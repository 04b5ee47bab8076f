"""Measures how fast rows of backfills and bulk jobs end, from what this process has shown in the last half minute."""

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from threading import Lock

from worker.words import span

WINDOW_SECONDS = 30.0
MOST_JOBS = 200


class Paces:
    """The rates of the jobs that someone watches; safe for threads. `clock` is for tests."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._samples: OrderedDict[str, deque[tuple[float, int]]] = OrderedDict()
        self._clock = clock
        self._lock = Lock()

    def pace(self, job_id: str, ended_rows: int, rows: int) -> str:
        """Return the rate and the time that is left, in words; empty if it is not known yet."""
        rate = self._rate(job_id, ended_rows)
        if not rate or ended_rows >= rows:
            return ""
        return f"{rate:,.1f} a second, about {span((rows - ended_rows) / rate)} left"

    def _rate(self, job_id: str, ended_rows: int) -> float:
        now = self._clock()
        with self._lock:
            samples = self._samples.setdefault(job_id, deque(maxlen=100))
            self._samples.move_to_end(job_id)
            samples.append((now, ended_rows))
            while now - samples[0][0] > WINDOW_SECONDS:
                samples.popleft()
            if len(self._samples) > MOST_JOBS:
                self._samples.popitem(last=False)
            (began, before), seconds = samples[0], now - samples[0][0]
        return max(ended_rows - before, 0) / seconds if seconds > 0 and began < now else 0.0
