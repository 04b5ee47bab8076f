"""A login whose hash a person damaged holds up no other login, and the next event of it makes it whole."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from redis import Redis

from tests.integration.ledger.conftest import Clock, Start, settle_together, take_back, wishes
from worker.backfill.store import Backfills
from worker.config.gate_thresholds import GateRules
from worker.errors import Unreadable
from worker.ledger import Claim, Ledger, Notice
from worker.ledger.queries import Views

FIELDS = "vawesldqpnfjbhuzCxkmg"
DAMAGES: list[tuple[str, str | None]] = [
    *((field, value) for field in FIELDS for value in (None, "", "x", "1:1")),
    ("w", "1:1:x:toolbox"),
    ("k", "123"),
]
HOUR_MS = 3_600_000
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
    """Many logins with one wish each. Each second login gets damaged, in a way that no other has."""

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

    def event(self, minute: int) -> None:
        """Each login gets an event."""
        self._ledger.record(wishes(LOGINS, minute=minute, on=False))

    def work_off(self) -> None:
        """Take back lost leases, and call what is due, until all rests are over."""
        for _ in range(4):
            self._clock.ms += 2 * HOUR_MS
            self.notices += take_back(self._ledger).notices
            self.settle(self.claimed(), SUCCESS)

    def unconfirmed(self) -> set[int]:
        """Return the logins whose newest wish was not confirmed."""
        fields = [self._redis.hmget(f"nightly:login:lgn_{at}", "s", "w", "C") for at in range(LOGINS)]
        return {at for at, login in enumerate(fields) if not _is_confirmed(*login)}

    def unreadable(self) -> set[int]:
        """Return the logins whose page says that somebody damaged them."""
        return {at for at in range(LOGINS) if not self._is_readable(f"lgn_{at}")}

    def _is_readable(self, reference: str) -> bool:
        try:
            return Views(self._redis, now_ms=self._clock).login(reference) is not None
        except Unreadable:
            return False

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


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_event_during_the_call_of_a_damaged_login_is_called(story: Story, ending: str) -> None:
    calls = story.claimed()
    story.damage()
    story.event(minute=1)
    if outcome := ENDINGS[ending]:
        story.settle(calls, outcome)
    story.work_off()
    assert _damages(story.unconfirmed()) == []


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
    assert _damages(story.unconfirmed()) == []
    assert _damages(story.unreadable()) == []
    assert story.waiting() == []


def _damages(logins: set[int]) -> list[tuple[str, str | None]]:
    return [DAMAGES[at // 2] for at in sorted(logins)]


@pytest.mark.parametrize("wish", ["on", "off", "as-is"])
def test_damaged_logins_hold_up_no_backfill(story: Story, backfills: Backfills, start: Start, wish: str) -> None:
    story.settle(story.claimed(), SUCCESS)
    story.damage()
    backfill_id = start([f"login-{at}" for at in range(LOGINS)], wish=wish)
    for _ in range(LOGINS):
        fed = backfills.get(backfill_id).fed
        rows = [part for at in range(fed, LOGINS) for part in (f"lgn_{at}", b"sealed", "")]
        backfills.feed(backfill_id, fed, rows, fingerprint="proven-one")
        story.work_off()
        if fed == LOGINS:
            break
    assert backfills.get(backfill_id).fed == LOGINS
    assert {at for at in story.unconfirmed() if at % 2 == 0} == set()


def test_a_person_hears_of_damaged_logins_that_cannot_be_called(story: Story) -> None:
    story.damage()
    story.work_off()
    uncalled = story.unconfirmed()
    assert {field for field, _ in _damages(uncalled)} == {"v", "w", "e"}
    assert {notice.text for notice in story.notices} == {f"damaged|nightly:login:lgn_{at}" for at in uncalled}
