"""A login whose hash a person damaged holds up no other login, and the next event of it makes it whole."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from redis import Redis

from tests.integration.ledger.conftest import Clock, settle_together, take_back, wishes
from worker.config.gate_thresholds import GateRules
from worker.ledger import Claim, Ledger, Notice, Recorded

FIELDS = "vawesldqpnfjbhuzCxkmg"
DAMAGES: list[tuple[str, str | None]] = [
    *((field, value) for field in FIELDS for value in (None, "", "x", "1:1")),
    ("w", "1:1:x:toolbox"),
    ("k", "123"),
]
LOGINS = 2 * len(DAMAGES) + 1
"""Each second one gets damaged."""
FAST: Mapping[str, Any] = {"at_most": LOGINS, "calls_per_second": 1_000_000, "max_in_flight": LOGINS}
NEVER_SHUT = GateRules(outage_in_a_row=LOGINS * 10, outage_min_calls=LOGINS * 10, storm_logins=LOGINS * 10)
Ending = tuple[str, dict[str, Any]]
FAILURE: Ending = ("transient", {"code": "http_500", "flags": "d"})
INVALID_LOGIN: Ending = ("dead", {"code": "INVALID_LOGIN"})
SUCCESS: Ending = ("applied", {})
ENDINGS: Mapping[str, Ending | None] = {
    "success": SUCCESS,
    "unconfirmed success": ("applied", {"flags": "u"}),
    "failure": FAILURE,
    "INVALID_LOGIN": INVALID_LOGIN,
    "throttled": ("throttled", {"code": "http_429"}),
    "not sent": ("unsent", {}),
    "lease lost": None,
}


class Story:
    """Many logins with one wish each, half of which get damaged, each in its own way."""

    def __init__(self, ledger: Ledger, redis_client: Redis, clock: Clock, claim: Callable[..., Any]) -> None:
        self._ledger, self._redis, self._clock, self._claim = ledger, redis_client, clock, claim
        self.notices: list[Notice] = []
        ledger.record(wishes(LOGINS))

    def claimed(self) -> list[Claim]:
        return list(self._claim(**FAST).claims)

    def settle(self, calls: list[Claim], ending: Ending) -> None:
        settle_together(self._ledger, *((call, *ending) for call in calls), rules=NEVER_SHUT)

    def damage(self) -> None:
        for at, (field, value) in enumerate(DAMAGES):
            login = f"nightly:login:lgn_{2 * at + 1}"
            if value is None:
                self._redis.hdel(login, field)
            else:
                self._redis.hset(login, field, value)

    def event(self, minute: int, *, on: bool = False) -> list[Recorded]:
        """Each login gets an event."""
        return self._ledger.record(wishes(LOGINS, minute=minute, on=on))

    def work_off(self) -> None:
        """Take back lost leases, and call what is due, until all rests are over."""
        for _ in range(4):
            self._clock.ms += 100_000
            self.notices += take_back(self._ledger).notices
            self.settle(self.claimed(), SUCCESS)

    def unconfirmed(self) -> set[int]:
        """Return the logins whose newest wish was not confirmed."""
        fields = [self._redis.hmget(f"nightly:login:lgn_{at}", "s", "w", "C") for at in range(LOGINS)]
        return {at for at, login in enumerate(fields) if not _is_confirmed(*login)}

    def waiting(self) -> list[str]:
        return self._redis.keys("nightly:due:*") + self._redis.keys("nightly:leases:*")


def _is_confirmed(state: bytes | None, newest: bytes | None, confirmed: bytes | None) -> bool:
    if state != b"done" or newest is None or confirmed is None:
        return False
    return newest.split(b":")[:2] == confirmed.split(b":")[:2]


@pytest.fixture
def story(ledger: Ledger, redis_client: Redis, clock: Clock, claim: Callable[..., Any]) -> Story:
    return Story(ledger, redis_client, clock, claim)


@pytest.mark.parametrize("ending", ENDINGS)
def test_logins_that_are_damaged_in_flight_hold_up_no_other(story: Story, ending: str) -> None:
    calls = story.claimed()
    assert len(calls) == LOGINS
    story.damage()
    if outcome := ENDINGS[ending]:
        story.settle(calls, outcome)
    _others_are_called_and_an_event_mends_the_damaged(story, are_dead=ending == "INVALID_LOGIN")


@pytest.mark.parametrize("before", [None, FAILURE, SUCCESS, INVALID_LOGIN], ids=["new", "failed", "confirmed", "dead"])
def test_logins_that_are_damaged_at_rest_hold_up_no_other(story: Story, before: Ending | None) -> None:
    if before:
        story.settle(story.claimed(), before)
    story.damage()
    _others_are_called_and_an_event_mends_the_damaged(story, are_dead=before is INVALID_LOGIN)


def _others_are_called_and_an_event_mends_the_damaged(story: Story, *, are_dead: bool) -> None:
    story.event(minute=-1)
    story.work_off()
    others = {at for at in story.unconfirmed() if at % 2 == 0}
    assert len(others) == (len(DAMAGES) + 1 if are_dead else 0)
    story.event(minute=1)
    story.work_off()
    assert [DAMAGES[at // 2] for at in story.unconfirmed()] == []
    assert story.waiting() == []


def test_a_person_hears_of_damaged_logins_that_cannot_be_called_and_publishes_their_event_again(story: Story) -> None:
    story.damage()
    story.work_off()
    uncalled = story.unconfirmed()
    assert {DAMAGES[at // 2][0] for at in uncalled} == {"v", "w", "e", "s"}
    assert {notice.text for notice in story.notices} == {f"damaged|nightly:login:lgn_{at}" for at in uncalled}
    results = story.event(minute=0, on=True)
    assert {results[at] for at in uncalled} == {Recorded.RECORDED}
    assert {results[at] for at in range(0, LOGINS, 2)} == {Recorded.DUPLICATE}
    story.work_off()
    assert story.unconfirmed() == set()
