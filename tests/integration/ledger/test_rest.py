"""No call starts while an earlier one may still land, even if the earlier one was the last of its wish (P2)."""

from typing import Any

import pytest
from redis import Redis

from tests import ledger_calls
from tests.integration.ledger.conftest import INSTANCE, Clock, settle_together, take_back, tally, wishes
from worker.ledger import Claim, Ledger, Letters, Settled

LOGIN = "nightly:login:lgn_0"
LAST = {"code": "retries_exhausted", "flags": "ad", "rest_seconds": 20}


def rests_for(seconds: int, clock: Clock, claim: Any) -> bool:
    clock.ms += seconds * 1000 - 1
    was_early = bool(claim().claims)
    clock.ms += 1
    return not was_early and bool(claim().claims)


@pytest.mark.parametrize(("newer_came", "result"), [("before", Settled.OVERTAKEN), ("after", Settled.DEAD_LETTERED)])
def test_a_newer_event_waits_for_the_last_call_of_a_dead_lettered_wish(
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


def test_a_replay_waits_for_the_last_call_of_its_login(ledger: Ledger, clock: Clock, claim: Any, settle: Any) -> None:
    ledger.record(wishes(1))
    settle(claim().claims[0], "dead", **LAST)
    letters = Letters(ledger.redis, now_ms=clock)
    (letter,) = ledger_calls.list_letters(letters)
    ledger_calls.close(letters, letter.id, "replayed", by="ann")
    assert rests_for(20, clock, claim)


def test_a_newer_event_waits_for_the_tenth_lost_call_of_its_login(ledger: Ledger, clock: Clock, claim: Any) -> None:
    ledger.record(wishes(1))
    for lost in range(10):
        clock.ms += 15_000 + 2**lost * 1000
        assert claim(settle_seconds=15).claims
        clock.ms += 15_000
        take_back(ledger)
    ledger.record(wishes(1, minute=1, on=False))
    assert rests_for(15, clock, claim)


# -- a call whose claim is no longer the login's -----------------------------------------------------------

AMBIGUOUS = {"code": "timeout", "flags": "ad", "rest_seconds": 20}


@pytest.fixture
def late(ledger: Ledger, clock: Clock, claim: Any) -> Claim:
    """Return a call whose lease was taken back, as after a step of Redis' clock, while a newer event was recorded."""
    ledger.record(wishes(1))
    (late,) = claim().claims
    clock.ms += 40_000
    take_back(ledger)
    ledger.record(wishes(1, minute=1, on=False))
    return late


def test_a_waiting_login_rests_for_the_late_call(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any, late: Claim
) -> None:
    assert settle(late, "transient", **AMBIGUOUS) is Settled.FENCED
    assert ledger.redis.hget(LOGIN, "h") == str(clock.ms + 20_000).encode()
    assert rests_for(20, clock, claim)


def test_a_waiting_login_is_called_no_earlier_than_before(clock: Clock, claim: Any, settle: Any, late: Claim) -> None:
    settle(claim().claims[0], "transient", code="CARD_IN_USE", delay_seconds=60)
    assert settle(late, "transient", **AMBIGUOUS) is Settled.FENCED
    assert rests_for(60, clock, claim)


def test_of_two_late_calls_of_a_waiting_login_the_longer_rest_counts(
    clock: Clock, claim: Any, settle: Any, late: Claim
) -> None:
    settle(late, "transient", **AMBIGUOUS | {"rest_seconds": 50})
    assert settle(late, "transient", **AMBIGUOUS) is Settled.FENCED
    assert rests_for(50, clock, claim)


def test_an_applied_wish_is_sent_again_after_the_late_call_and_counted_once(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any, late: Claim
) -> None:
    assert settle(claim().claims[0], "applied") is Settled.APPLIED
    assert settle(late, "transient", **AMBIGUOUS) is Settled.FENCED
    clock.ms += 19_999
    assert claim().claims == []
    clock.ms += 1
    (again,) = claim().claims
    assert settle(again, "applied") is Settled.APPLIED
    assert tally(ledger, "applied_off") == 1


def test_of_two_late_calls_of_a_login_in_flight_the_longer_rest_counts(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any, late: Claim
) -> None:
    (call,) = claim().claims
    settle(late, "transient", **AMBIGUOUS | {"rest_seconds": 50})
    settle(late, "transient", **AMBIGUOUS)
    clock.ms += 15_000
    take_back(ledger)
    assert settle(call, "transient", **AMBIGUOUS) is Settled.FENCED
    assert rests_for(35, clock, claim)


@pytest.mark.parametrize(
    ("outcome", "fields", "result"),
    [
        ("applied", {}, Settled.OVERTAKEN),
        ("transient", {"code": "CARD_IN_USE"}, Settled.WAITING),
        ("transient", AMBIGUOUS | {"rest_seconds": 5}, Settled.WAITING),
        ("dead", {"code": "DISABLED_LOGIN"}, Settled.OVERTAKEN),
        ("throttled", {}, Settled.WAITING),
        ("unsent", {}, Settled.UNSENT),
    ],
)
def test_a_login_in_flight_rests_for_the_late_call_after_any_outcome_of_its_own(
    clock: Clock, claim: Any, settle: Any, late: Claim, outcome: str, fields: dict[str, Any], result: Settled
) -> None:
    (call,) = claim().claims
    assert settle(late, "transient", **AMBIGUOUS) is Settled.FENCED
    clock.ms += 1000
    assert settle(call, outcome, **fields) is result
    assert rests_for(19, clock, claim)


def test_a_login_in_flight_rests_for_the_late_call_after_its_earlier_calls_succeeded(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any, late: Claim
) -> None:
    assert settle(claim().claims[0], "applied") is Settled.APPLIED
    ledger.record(wishes(1, minute=2))
    clock.ms += 1000
    (call,) = claim().claims
    assert settle(late, "transient", **AMBIGUOUS) is Settled.FENCED
    clock.ms += 1000
    assert settle(call, "applied") is Settled.OVERTAKEN
    assert rests_for(19, clock, claim)


def test_a_login_in_flight_rests_for_the_late_call_when_its_own_lease_is_lost(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any, late: Claim
) -> None:
    assert claim(settle_seconds=1).claims
    assert settle(late, "transient", **AMBIGUOUS) is Settled.FENCED
    clock.ms += 15_000
    take_back(ledger)
    assert rests_for(5, clock, claim)


def test_a_login_in_flight_is_called_again_at_once_after_a_definite_late_response(
    clock: Clock, claim: Any, settle: Any, late: Claim
) -> None:
    (call,) = claim().claims
    assert settle(late, "applied") is Settled.FENCED
    clock.ms += 1000
    assert settle(call, "applied") is Settled.OVERTAKEN
    assert claim().claims


def test_a_login_given_up_after_ten_losses_waits_for_the_late_call_before_a_newer_event(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any, late: Claim
) -> None:
    assert claim(lease_seconds=1).claims
    ledger.redis.hset(LOGIN, "b", 9)
    assert settle(late, "transient", **AMBIGUOUS) is Settled.FENCED
    clock.ms += 1000
    take_back(ledger)
    assert ledger.redis.hget(LOGIN, "s") == b"dead"
    ledger.record(wishes(1, minute=2))
    assert rests_for(19, clock, claim)


@pytest.mark.parametrize("comes", ["a newer event", "a replay"])
def test_a_replay_or_event_for_a_dead_login_waits_for_the_late_call(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any, late: Claim, comes: str
) -> None:
    settle(claim().claims[0], "dead", code="DISABLED_LOGIN")
    assert settle(late, "transient", **AMBIGUOUS) is Settled.FENCED
    assert settle(late, "transient", **AMBIGUOUS | {"rest_seconds": 5}) is Settled.FENCED  # the longer rest counts
    assert ledger.redis.zcard(f"nightly:due:{INSTANCE}:live") == 0
    if comes == "a newer event":
        ledger.record(wishes(1, minute=2))
    else:
        letters = Letters(ledger.redis, now_ms=clock)
        ledger_calls.close(letters, ledger_calls.list_letters(letters)[0].id, "replayed", by="ann")
    assert rests_for(20, clock, claim)


@pytest.mark.parametrize(("own", "seconds"), [(30, 30), (5, 20)])
def test_a_login_rests_for_a_late_call_settled_in_the_same_batch(
    ledger: Ledger, clock: Clock, claim: Any, late: Claim, own: int, seconds: int
) -> None:
    (call,) = claim().claims
    failed = {"code": "CARD_IN_USE", "delay_seconds": own}
    settled = settle_together(ledger, (call, "transient", failed), (late, "transient", AMBIGUOUS))
    assert settled == [Settled.WAITING, Settled.FENCED]
    assert rests_for(seconds, clock, claim)


def test_a_login_rests_for_a_call_whose_claim_a_failover_undid(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(1))
    before = {key: redis_client.dump(key) for key in redis_client.scan_iter()}
    (undone,) = claim().claims
    redis_client.flushdb()
    for key, value in before.items():
        redis_client.restore(key, 0, value)
    ledger.record(wishes(1, minute=1, on=False))
    clock.ms += 9000
    assert settle(undone, "transient", **AMBIGUOUS) is Settled.FENCED
    assert rests_for(20, clock, claim)
