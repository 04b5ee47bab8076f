"""Compares the calls at Flinks with what the witness saw: was each claimed in time, and with the newest wish?

Promise 3: at the moment of the claim no newer wish was recorded.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sandbox.emulator.calls import Call
from tests.chaos.traffic import Event
from tests.chaos.witness import Heard

DEAF_SECONDS = 30.0
"""Seconds within which an event, recorded by a killed Redis without a reply, is recorded again and seen."""
UNHEARD_SECONDS = 2.0
"""Seconds between the kill of Redis and a call whose claim Redis told the worker, but not the witness any more."""
CLOCK_SECONDS = 0.005
"""Redis and the emulator use the same clock and round its time."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A claim, and the newest event that the witness saw recorded for its login by then."""

    at: float
    newest: Event | None


@dataclass
class Story:
    """The observations of one login, in order."""

    recorded: list[tuple[float, Event]] = field(default_factory=list)
    claims: list[Claimed] = field(default_factory=list)
    newest: Event | None = None

    def record(self, at: float, event: Event) -> None:
        self.recorded.append((at, event))
        if self.newest is None or event.rank > self.newest.rank:
            self.newest = event

    def claim_before(self, moment: float) -> Claimed | None:
        at = bisect_right(self.claims, moment, key=lambda claim: claim.at)
        return self.claims[at - 1] if at else None

    def may_have_been_recorded_unheard(self, wish: bool | None, claim: Claimed, killed_at: float) -> bool:  # noqa: FBT001 - the wish
        """Return whether a newer event with this wish was lost with Redis: it is recorded again soon after."""
        return killed_at <= claim.at and any(
            killed_at <= at < killed_at + DEAF_SECONDS
            and (claim.newest is None or event.rank > claim.newest.rank)
            and event.wants_active is wish
            for at, event in self.recorded
        )


@dataclass
class Findings:
    """Numbers (`seq`) of the calls that broke the promise."""

    stale: list[int] = field(default_factory=list)
    late: list[int] = field(default_factory=list)
    unclaimed: list[int] = field(default_factory=list)
    unheard: list[int] = field(default_factory=list)
    """No claim of these was seen, but Redis was killed just before: the end of what it told the witness is lost."""


def stories(
    heard: Iterable[Heard], events: Mapping[str, Event], reference_of: Callable[[str], str]
) -> dict[str, Story]:
    """Sort the observations by login: reference -> story."""
    told: dict[str, Story] = {}
    for each in heard:
        if each.event_id is not None:
            event = events[each.event_id]
            told.setdefault(reference_of(event.login), Story()).record(each.at, event)
        else:
            story = told.setdefault(each.reference, Story())
            story.claims.append(Claimed(each.at, story.newest))
    return told


def judge(
    calls: Iterable[Call],
    told: Mapping[str, Story],
    reference_of: Callable[[str], str],
    *,
    lease_seconds: float,
    redis_killed_at: Sequence[float],
) -> Findings:
    """Compare each call with the last claim before it."""
    found = Findings()
    for call in calls:
        story = told.get(reference_of(call.login_id or ""), Story())
        claim = story.claim_before(call.started_at + CLOCK_SECONDS)
        after_a_kill = any(0 <= call.started_at - killed_at < UNHEARD_SECONDS for killed_at in redis_killed_at)
        if claim is None:
            (found.unheard if after_a_kill else found.unclaimed).append(call.seq)
        elif call.started_at - claim.at > lease_seconds:
            (found.unheard if after_a_kill else found.late).append(call.seq)
        elif (claim.newest is None or call.wish is not claim.newest.wants_active) and not any(
            story.may_have_been_recorded_unheard(call.wish, claim, killed_at) for killed_at in redis_killed_at
        ):
            found.stale.append(call.seq)
    return found
