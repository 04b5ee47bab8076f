"""No call starts while an earlier one may still land, also where the earlier one was a login's last (P2)."""

from typing import Any

import pytest

from tests.integration.ledger.conftest import Clock, wishes
from worker.ledger import Ledger, Letters, Settled

LAST = {"code": "retries_exhausted", "flags": "ad", "rest_seconds": 20}


def rests_for(seconds: int, clock: Clock, claim: Any) -> bool:
    clock.ms += seconds * 1000 - 1
    was_early = bool(claim().claims)
    clock.ms += 1
    return not was_early and bool(claim().claims)


@pytest.mark.parametrize(("newer_came", "result"), [("before", Settled.OVERTAKEN), ("after", Settled.PARKED)])
def test_a_newer_event_waits_for_the_last_call_of_the_older_that_was_given_up(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any, newer_came: str, result: Settled
) -> None:
    ledger.record(wishes(1))
    (last,) = claim().claims
    if newer_came == "before":
        ledger.record(wishes(1, minute=1, on=False))
    assert settle(last, "dead", **LAST) is result
    if newer_came == "after":
        ledger.record(wishes(1, minute=1, on=False))
    assert rests_for(20, clock, claim)


def test_a_replay_waits_for_the_last_call_of_a_login_that_was_given_up(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(1))
    settle(claim().claims[0], "dead", **LAST)
    letters = Letters(ledger.redis, now_ms=clock)
    (letter,) = letters.list()
    letters.close(letter.id, "replayed", by="ann")
    assert rests_for(20, clock, claim)


def test_a_newer_event_waits_for_the_lost_call_of_a_login_that_was_set_aside(
    ledger: Ledger, clock: Clock, claim: Any
) -> None:
    ledger.record(wishes(1))
    for lost in range(10):
        clock.ms += 15_000 + 2**lost * 1000
        assert claim().claims
        clock.ms += 15_000
        ledger.pulse({}, rest_after_lease_seconds=15)
    ledger.record(wishes(1, minute=1, on=False))
    assert rests_for(15, clock, claim)
