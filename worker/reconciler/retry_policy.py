"""Decides when a login whose call failed is tried again, and when a person has to look at it. Does no I/O.

The window for each wait doubles from one second to an hour, and the wait is drawn from the whole of it ("full
jitter"), so that logins which failed together do not come back together. The 19 windows between 20 attempts add
up to 8 hours, half of that on average: a bank's maintenance lasts a night's part, and a refresh that is switched
on some hours later is still on before the next night. An outage of Flinks as a whole is the gate's affair.
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
_MOST_DOUBLINGS = 30  # beyond any window, and far from what a float cannot hold


@dataclass(frozen=True, slots=True)
class RetryLimits:
    """How long a wish may fail before it becomes a dead letter, and how long a login rests."""

    max_attempts: int
    """Failed attempts that are charged, the last one included. Too low: a bank's maintenance makes dead letters."""
    max_age_seconds: float
    """Age of the first failed attempt. Too high: a person hears of a stuck login days late."""
    settle_seconds: float
    """Shortest wait after an ambiguous call. Too low: a late write can undo a newer one."""
    cap_seconds: float = 3600.0
    """The longest window. Too high: a login comes back long after what ailed it is over."""


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
    """Return what follows a TRANSIENT or THROTTLED verdict; raises ValueError for the others, which never wait.

    `attempts` counts the failed attempts charged to this wish, this one included; `waiting_seconds` is the time
    since the first of them. `random` returns numbers in [0, 1). Being throttled never exhausts: it says nothing
    about the login.
    """
    if verdict.outcome is Outcome.THROTTLED:
        drawn = THROTTLED_FLOOR_SECONDS + THROTTLED_WINDOW_SECONDS * random()
    elif verdict.outcome is not Outcome.TRANSIENT:
        raise ValueError(f"{verdict.outcome} is final: nothing waits for it")
    elif attempts >= limits.max_attempts or waiting_seconds >= limits.max_age_seconds:
        return Exhausted()
    else:
        drawn = _window_seconds(verdict, attempts, limits) * random()
    return Retry(max(drawn, _floor_seconds(verdict, limits, random)))


def _window_seconds(verdict: Verdict, attempts: int, limits: RetryLimits) -> float:
    first = SLOW_TO_CLEAR_WINDOW_SECONDS if verdict.is_slow_to_clear else FIRST_WINDOW_SECONDS
    return min(limits.cap_seconds, first * 2.0 ** min(max(attempts - 1, 0), _MOST_DOUBLINGS))


def _floor_seconds(verdict: Verdict, limits: RetryLimits, random: Callable[[], float]) -> float:
    """Return the shortest wait allowed, spread a little: a floor is the same for everyone who was told it."""
    floor = max(
        verdict.retry_after_seconds or 0.0,
        limits.settle_seconds if verdict.is_ambiguous else 0.0,
        SLOW_TO_CLEAR_FLOOR_SECONDS if verdict.is_slow_to_clear else 0.0,
    )
    return floor + random() * min(1.0 + 0.1 * floor, MAX_SPREAD_SECONDS) if floor else 0.0
