"""Computes the figures of a heat from the arrivals at the stub: rates, logins called twice or never, and medians.

The time runs from the first call to the last answer, so that a contender's start does not count. `middle_rate` is the
rate of arrivals without the first and the last twentieth, which excludes a slow start and stragglers.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Self

from benchmarks.backlog import Wish
from benchmarks.stub import Call

EDGE = 0.05


@dataclass(frozen=True)
class Tally:
    """Calls, their rate from the first call to the last answer, and the rate of the middle nine tenths of arrivals."""

    calls: int
    rate: float
    middle_rate: float
    missing: int
    """Logins of the backlog for which no call came."""
    twice: int
    """Calls beyond the first of a login."""
    wrong: int
    """Calls for a login that is not in the backlog, or with another wish than its event had."""

    @property
    def is_exact(self) -> bool:
        """Whether each login was called exactly once, with the right wish."""
        return not (self.missing or self.twice or self.wrong)


@dataclass(frozen=True)
class Spread:
    """A median with the minimum and the maximum."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Return the spread of at least one value."""
        return cls(median(values), min(values), max(values))


def tally(wishes: Sequence[Wish], calls: Sequence[Call], *, delay_ms: float = 0) -> Tally:
    """Compare the calls with the backlog. `calls` are in order of arrival, each answered after `delay_ms`."""
    wanted = {wish.login_id: wish.is_on for wish in wishes}
    calls_of = Counter(call.login_id for call in calls)
    edge = int(len(calls) * EDGE)
    return Tally(
        calls=len(calls),
        rate=rate_of([call.at_us for call in calls], answered_after_us=delay_ms * 1000),
        middle_rate=rate_of([call.at_us for call in calls[edge : len(calls) - edge]]),
        missing=sum(login_id not in calls_of for login_id in wanted),
        twice=sum(count - 1 for count in calls_of.values()),
        wrong=sum(wanted.get(call.login_id) is not call.wants_active for call in calls),
    )


def rate_of(arrivals_us: Sequence[int], *, answered_after_us: float = 0) -> float:
    """Return calls a second from the first arrival to the last answer; 0 for fewer than two calls.

    Without the last answer, a contender that sends all calls at once would seem to exceed its own limit.
    """
    if len(arrivals_us) < 2 or arrivals_us[-1] == arrivals_us[0]:  # noqa: PLR2004 - an interval has two ends
        return 0.0
    return (len(arrivals_us) - 1) / (arrivals_us[-1] - arrivals_us[0] + answered_after_us) * 1e6
