"""Settling and claiming in one script: the claim sees what the settlements changed."""

from typing import Any

import pytest
from redis import Redis

from tests import ledger_calls
from tests.integration.ledger.conftest import DOWN, INSTANCE, TERMS, Clock, claim_all, tally, wishes
from worker.ledger import Claim, ClaimReply, Ledger, Settled
from worker.ledger.queries import Views


@pytest.fixture
def turn(ledger: Ledger) -> Any:
    def turn(call: Claim, outcome: str, **changes: Any) -> tuple[Settled, ClaimReply]:
        terms = TERMS | {"calls_per_second": 1000}
        fields = {name: changes.pop(name) for name in list(changes) if name not in terms}
        (result,), reply = ledger_calls.settle_and_claim(
            ledger, INSTANCE, [ledger_calls.ended(call, outcome, **fields)], **terms | changes
        )
        return result, reply

    return turn


def test_a_settled_call_makes_room_for_the_next_claim(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, turn: Any
) -> None:
    ledger.record(wishes(3))
    (first,) = claim(at_most=1).claims
    clock.ms += 100
    result, reply = turn(first, "applied", max_in_flight=1)
    assert (result, reply.state, reply.now_ms) == (Settled.APPLIED, "claimed", clock.ms)
    (second,) = reply.claims
    lease = (second.reference.encode(), clock.ms + 15_000)
    assert redis_client.zrange(f"nightly:leases:{INSTANCE}", 0, -1, withscores=True) == [lease]
    assert (tally(ledger, "calls"), tally(ledger, "applied_on")) == (1, 1)


def test_an_overtaken_login_is_claimed_again_at_once(ledger: Ledger, clock: Clock, claim: Any, turn: Any) -> None:
    ledger.record(wishes(1))
    (call,) = claim().claims
    ledger.record(wishes(1, minute=1, on=False))
    clock.ms += 100
    result, reply = turn(call, "applied")
    assert result is Settled.OVERTAKEN
    assert [(one.reference, one.wants_active) for one in reply.claims] == [("lgn_0", False)]


def test_an_overtaken_success_stores_what_it_confirmed(ledger: Ledger, claim: Any, settle: Any) -> None:
    ledger.record(wishes(1))
    (call,) = claim().claims
    ledger.record(wishes(1, minute=1, on=False))
    assert settle(call, "applied") is Settled.OVERTAKEN
    found = Views(ledger.redis).login("lgn_0")
    assert found is not None
    assert (found["wish"], found["confirmed_wish"], found["confirmed_revision"]) == ("off", "on", 1)


def test_nothing_is_claimed_when_nothing_is_asked_for(ledger: Ledger, clock: Clock, claim: Any, turn: Any) -> None:
    ledger.record(wishes(2))
    (call,) = claim(at_most=1).claims
    clock.ms += 100
    result, reply = turn(call, "applied", at_most=0)
    assert (result, reply.state, reply.wait_seconds) == (Settled.APPLIED, "busy", 0.025)


def test_the_claim_sees_a_gate_that_the_settlement_shut(ledger: Ledger, clock: Clock, claim: Any, turn: Any) -> None:
    ledger.record(wishes(3))
    (call,) = claim(at_most=1, fingerprint="new").claims
    clock.ms += 100
    result, reply = turn(call, "halt", code="ACCESS_DENIED", fingerprint="new")
    assert (result, reply.state, reply.claims) == (Settled.HALTED, "closed", [])


def test_the_claim_sees_that_the_canary_has_ended(ledger: Ledger, clock: Clock, claim: Any, turn: Any) -> None:
    ledger.record(wishes(3))
    (canary,) = claim(fingerprint="new").claims
    clock.ms += 100
    result, reply = turn(canary, "transient", code="CARD_IN_USE", delay_seconds=60, fingerprint="new")
    assert (result, len(reply.claims)) == (Settled.WAITING, 1)


def test_a_newer_schema_stops_the_claim_but_not_the_settlement(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, turn: Any
) -> None:
    ledger.record(wishes(3))
    (call,) = claim(at_most=1).claims
    redis_client.hset("nightly:meta", "schema", 1000)
    clock.ms += 100
    result, reply = turn(call, "applied")
    assert (result, reply.state, reply.wait_seconds, reply.claims) == (Settled.APPLIED, "newer", None, [])


def test_the_claim_sees_five_dns_failures_of_the_settlement(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any, turn: Any
) -> None:
    ledger.record(wishes(9))
    lost = {"code": "name_not_found", "flags": "h", "delay_seconds": 60}
    *four, fifth = claim_all(clock, claim, 5)
    for call in four:
        settle(call, "transient", **lost)
    clock.ms += 100
    result, reply = turn(fifth, "transient", **lost)
    assert (result, reply.state, reply.claims) == (Settled.WAITING, "closed", [])


def test_the_claim_sees_that_the_outage_is_not_over(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, turn: Any
) -> None:
    ledger.record(wishes(3))
    outage = {"outage": "1", "outage_at": 1, "outage_detail": "ten in a row", "probe_wait": 5000}
    redis_client.hset(f"nightly:gate:{INSTANCE}", mapping=outage)
    (probe,) = claim().claims
    clock.ms += 100
    _, reply = turn(probe, "transient", **DOWN)
    assert (reply.state, reply.wait_seconds) == ("closed", 10)
