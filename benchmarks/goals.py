"""Decides which goals of the race are met.

A ratio is computed within each round, because rounds on a busy machine differ more than contenders do. The median of
the rounds decides.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.figures import Spread
from benchmarks.heat import Heat

NIGHTLY, BARE, NAIVE, PLAIN = "nightly", "bare loop", "naive celery", "plain celery"
QUEUES = ("dramatiq", "taskiq", "arq", "saq")
FULL_SPEED_DELAYS = (0, 50)
BARE_MS, SLOW_MS = 50, 200
TIMES_NAIVE, TIMES_PLAIN, TIMES_QUEUE, OF_BARE, OF_LIMIT = 100, 6, 3, 0.5, 0.95

Figure = Callable[[Heat], float]


@dataclass(frozen=True)
class Goal:
    """One goal: the target, the measured values, and whether their median meets the target."""

    name: str
    wanted: str
    measured: Spread
    is_met: bool


def judge(heats: Sequence[Heat]) -> list[Goal]:
    """Return every goal whose contenders took part."""
    found = [goal for delay_ms in FULL_SPEED_DELAYS for goal in _at_full_speed(heats, delay_ms)]
    return [*found, *_at_the_limit(heats)]


def _at_full_speed(heats: Sequence[Heat], delay_ms: int) -> list[Goal]:
    queue = max(QUEUES, key=lambda name: _median(of(heats, name, delay_ms), rate))
    terms: list[tuple[str, str, float]] = [
        (NAIVE, "naive Celery", TIMES_NAIVE),
        (PLAIN, "the best plain Celery", TIMES_PLAIN),
        (queue, f"the best other queue ({queue})", TIMES_QUEUE),
    ]
    if delay_ms == BARE_MS:
        terms.append((BARE, "the bare loop", OF_BARE))
    return [
        Goal(f"{delay_ms} ms: events/s over {label}'s", f"at least {wanted:g}", ratio, ratio.median >= wanted)
        for name, label, wanted in terms
        if (ratio := ratio_of(of(heats, NIGHTLY, delay_ms), of(heats, name, delay_ms), rate))
    ]


def _at_the_limit(heats: Sequence[Heat]) -> list[Goal]:
    shares = [heat.tally.rate / (heat.limit / (SLOW_MS / 1000)) for heat in of(heats, NIGHTLY, SLOW_MS)]
    if not shares:
        return []
    measured = Spread.of(shares)
    name = f"{SLOW_MS} ms: events/s over in-flight limit / {SLOW_MS / 1000:g} s"
    return [Goal(name, f"at least {OF_LIMIT:g}", measured, measured.median >= OF_LIMIT)]


def rate(heat: Heat) -> float:
    """Events a second."""
    return heat.tally.rate


def worker_cpu(heat: Heat) -> float:
    """CPU microseconds of the workers per call."""
    return heat.cpu_us(heat.worker_cpu)


def all_cpu(heat: Heat) -> float:
    """CPU microseconds of workers and Redis per call."""
    return heat.cpu_us(heat.worker_cpu + heat.redis_cpu)


def of(heats: Sequence[Heat], name: str, delay_ms: int) -> list[Heat]:
    """Return a contender's heats at a delay, in the order of the rounds."""
    return [heat for heat in heats if heat.entry == name and heat.delay_ms == delay_ms]


def ratio_of(ours: Sequence[Heat], theirs: Sequence[Heat], figure: Figure) -> Spread | None:
    """Return the ratio within each round, None if either did not take part."""
    ratios = [figure(our) / figure(their) for our, their in zip(ours, theirs, strict=False) if figure(their)]
    return Spread.of(ratios) if ratios else None


def _median(heats: Sequence[Heat], figure: Figure) -> float:
    return Spread.of([figure(heat) for heat in heats]).median if heats else 0.0
