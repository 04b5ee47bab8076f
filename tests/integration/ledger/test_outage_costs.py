"""An outage charges no attempt, does not age a wish, and does not open a gate with another cause."""

from typing import Any

from redis import Redis

from tests.integration.ledger.conftest import (
    DOWN,
    INSTANCE,
    MINUTE_MS,
    Clock,
    causes,
    claim_all,
    fall_into_outage,
    gate,
    wishes,
)
from tests.people import ANN
from worker.ledger import Ledger, Settled
from worker.ledger.gate_control import GateKeeper

FP = "proven-one"


def test_no_attempt_is_charged_for_an_outage_including_those_that_showed_it(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(60))
    volley = claim_all(clock, claim, 60)
    for failing in volley[:40]:  # twenty show the outage, twenty were in flight already
        settle(failing, "transient", **DOWN)
    for failing in volley[40:]:  # the last attempts of these
        assert settle(failing, "dead", code="retries_exhausted", flags="d") is Settled.HALTED
    clock.ms += 5_000
    (probe,) = claim().claims
    settle(probe, "transient", **DOWN)
    clock.ms += 24 * 60 * MINUTE_MS
    (probe,) = claim().claims
    settle(probe, "applied")
    clock.ms += MINUTE_MS
    again = claim_all(clock, claim, 59)
    assert len(again) == 59
    assert {(one.failures, one.first_failure_ms) for one in again} == {(0, None)}


def test_an_attempt_before_the_outage_stays_charged_and_does_not_age_in_it(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(11))
    old = claim_all(clock, claim, 1)[0]
    settle(old, "transient", code="CARD_IN_USE", delay_seconds=30)
    failed_at = clock.ms
    clock.ms += 20_000
    for failing in claim_all(clock, claim, 10):
        settle(failing, "transient", **DOWN)
    shut_at = clock.ms
    clock.ms += 24 * 60 * MINUTE_MS
    (probe,) = claim().claims
    settle(probe, "applied")
    opened_at = clock.ms
    clock.ms += MINUTE_MS
    again = {one.reference: one for one in claim_all(clock, claim, 10)}
    assert again[old.reference].failures == 1
    assert again[old.reference].first_failure_ms == failed_at + (opened_at - shut_at)


def test_the_end_of_an_outage_does_not_open_a_gate_shut_by_a_person(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(100))
    fall_into_outage(clock, claim, settle)
    clock.ms += 5_000
    (probe,) = claim().claims
    GateKeeper(redis_client, now_ms=clock).close(INSTANCE, by=ANN, reason="Flinks asked us to")
    settle(probe, "applied")
    clock.ms += MINUTE_MS
    assert claim().state == "closed"
    assert causes(ledger) == [("closed", "outage"), ("closed", "operator"), ("closed", "Flinks answers again")]
    assert gate(ledger)["state"] == "closed"


def test_an_outage_stops_other_configurations_than_the_one_that_halted(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(100))
    (refused,) = claim(fingerprint="wrong").claims
    settle(refused, "halt", fingerprint="wrong", code="ACCESS_DENIED")
    fall_into_outage(clock, claim, settle)
    assert claim().state == "closed"
    clock.ms += 5_000
    settle(claim().claims[0], "applied")
    assert gate(ledger)["state"] == "open"
    clock.ms += 1_000
    assert (claim(fingerprint="wrong").state, claim().state) == ("closed", "claimed")
