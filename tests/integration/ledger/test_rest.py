"""No call starts while an earlier one may still land, also where the earlier one was a login's last (P2)."""

from typing import Any

import pytest

from tests.integration.ledger.conftest import Clock, wishes
from worker.ledger import Ledger, Letters, Settled

LAST = {"code": "retries_exhausted", "flags": "ad", "rest_seconds": 20}
unrested = pytest.mark.xfail(
    strict=True, reason="a login that is given up does not rest: settle_dead ignores `rest`, set_aside the lease's end"
)


def rests_for(seconds: int, clock: Clock, claim: Any) -> bool:
    clock.ms += seconds * 1000 - 1
    was_early = bool(claim().claims)
    clock.ms += 1
    return not was_early and bool(claim().claims)


@unrested
def test_a_newer_event_waits_for_the_last_call_of_a_login_that_was_given_up(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(1))
    assert settle(claim().claims[0], "dead", **LAST) is Settled.PARKED
    ledger.record(wishes(1, minute=1, on=False))
    assert rests_for(20, clock, claim)


@unrested
def test_a_newer_event_in_flight_waits_for_the_last_call_of_the_older(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(1))
    (last,) = claim().claims
    ledger.record(wishes(1, minute=1, on=False))
    assert settle(last, "dead", **LAST) is Settled.OVERTAKEN
    assert rests_for(20, clock, claim)


@unrested
def test_a_replay_waits_for_the_last_call_of_a_login_that_was_given_up(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(1))
    settle(claim().claims[0], "dead", **LAST)
    letters = Letters(ledger.redis, now_ms=clock)
    (letter,) = letters.list()
    letters.close(letter.id, "replayed", by="ann")
    assert rests_for(20, clock, claim)


@unrested
def test_a_newer_event_waits_for_the_lost_call_of_a_login_that_was_set_aside(
    ledger: Ledger, clock: Clock, claim: Any
) -> None:
    ledger.record(wishes(1))
    for _ in range(10):
        clock.ms += 15_000
        assert claim().claims
        clock.ms += 15_000
        ledger.pulse({}, rest_after_lease_seconds=15)
    ledger.record(wishes(1, minute=1, on=False))
    assert rests_for(15, clock, claim)
