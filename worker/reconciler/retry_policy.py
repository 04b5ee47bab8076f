"""Decides when a failed call is retried, and when its login becomes a dead letter instead.

Exponential backoff with full jitter: the window doubles from one second to one hour, and the wait is drawn from the
whole window, so that logins that failed together are not retried together. The 19 waits between 20 attempts add up to
8 hours at most and 4 on average (longer for codes that are slow to clear, or with Retry-After): that outlasts a bank's
nightly maintenance and still ends before the next night. The gate handles an outage of Flinks as a whole.
"""

from collections.abc import Callable
from dataclasses import dataclass

from worker.flinks.outcome import Outcome, Verdict

FIRST_WINDOW_SECONDS = 1.0
SLOW_TO_CLEAR_WINDOW_SECONDS = 30.0
SLOW_TO_CLEAR_FLOOR_SECONDS = 10.0
THROTTLED_FLOOR_SECONDS = 1.0
THROTTLED_WINDOW_SECONDS = 4.0
MAX_SPREAD_SECONDS = 60.0
_MOST_DOUBLINGS = 30  # exceeds every window and stays far below the largest float


@dataclass(frozen=True, slots=True)
class RetryLimits:
    """How long a wish may fail before it becomes a dead letter, and how long its login waits."""

    max_attempts: int
    """Charged attempts, the last one included. Too low: a bank's maintenance causes dead letters."""
    max_age_seconds: float
    """Age of the first failed attempt. Too high: operators learn of a stuck login days late."""
    settle_seconds: float
    """Shortest wait after an ambiguous call. Too low: a late write can undo a newer one."""
    cap_seconds: float = 3600.0
    """The longest window. Too high: a login is retried long after its problem is over."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again `delay_seconds` from now."""

    delay_seconds: float


@dataclass(frozen=True, slots=True)
class Exhausted:
    """Give up: the login becomes the dead letter `retries_exhausted`."""


def decide(
    verdict: Verdict, *, attempts: int, waiting_seconds: float, limits: RetryLimits, random: Callable[[], float]
) -> Retry | Exhausted:
    """Return what follows a TRANSIENT or THROTTLED verdict; raises ValueError for other outcomes, which are final.

    `attempts` counts the failed attempts charged to this wish, this one included. `waiting_seconds` is the time since
    the first of them. `random` returns numbers in [0, 1). Throttling never exhausts the attempts, because it says
    nothing about the login.
    """
    if verdict.outcome is Outcome.THROTTLED:
        drawn = THROTTLED_FLOOR_SECONDS + THROTTLED_WINDOW_SECONDS * random()
    elif verdict.outcome is not Outcome.TRANSIENT:
        raise ValueError(f"{verdict.outcome} is final: it is never retried")
    elif attempts >= limits.max_attempts or waiting_seconds >= limits.max_age_seconds:
        return Exhausted()
    else:
        drawn = _window_seconds(verdict, attempts, limits) * random()
    return Retry(max(drawn, _floor_seconds(verdict, limits, random)))


def _window_seconds(verdict: Verdict, attempts: int, limits: RetryLimits) -> float:
    first = SLOW_TO_CLEAR_WINDOW_SECONDS if verdict.is_slow_to_clear else FIRST_WINDOW_SECONDS
    return min(limits.cap_seconds, first * 2.0 ** min(max(attempts - 1, 0), _MOST_DOUBLINGS))


def _floor_seconds(verdict: Verdict, limits: RetryLimits, random: Callable[[], float]) -> float:
    """Return the shortest wait allowed, with jitter: logins with the same floor must not be retried together."""
    floor = max(
        verdict.retry_after_seconds or 0.0,
        limits.settle_seconds if verdict.is_ambiguous else 0.0,
        SLOW_TO_CLEAR_FLOOR_SECONDS if verdict.is_slow_to_clear else 0.0,
    )
    return floor + random() * min(1.0 + 0.1 * floor, MAX_SPREAD_SECONDS) if floor else 0.0
