"""Heats with made-up measurements."""

from benchmarks.figures import Tally
from benchmarks.heat import Heat


def heat(
    entry: str,
    rate: float,
    *,
    delay_ms: int = 0,
    events: int = 1000,
    worker_cpu: float = 1,
    redis_cpu: float = 0,
    missing: int = 0,
    ending: str = "",
) -> Heat:
    return Heat(
        entry=entry,
        delay_ms=delay_ms,
        events=events,
        limit=256,
        ending=ending,
        tally=Tally(calls=events - missing, rate=rate, middle_rate=rate, missing=missing, twice=0, wrong=0),
        worker_cpu=worker_cpu,
        redis_cpu=redis_cpu,
    )
