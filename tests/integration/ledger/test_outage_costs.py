"""What an outage may not cost: an attempt, a wish's age, somebody else's halt."""

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
from worker.ledger import Ledger, Settled
from worker.ledger.gate_control import GateKeeper

FP = "proven-one"


def test_no_attempt_is_charged_for_an_outage_not_even_those_that_showed_it(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(60))
    volley = claim_all(clock, claim, 60)
    for failing in volley[:40]:  # twenty show the outage, twenty were under way already
        settle(failing, "transient", **DOWN)
    for failing in volley[40:]:  # these were given their last chance
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


def test_an_attempt_that_failed_before_the_outage_stays_charged_but_does_not_age_in_it(
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


def test_a_person_stands_above_an_outage_and_its_end_does_not_undo_that(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(100))
    fall_into_outage(clock, claim, settle)
    clock.ms += 5_000
    (probe,) = claim().claims
    GateKeeper(redis_client, now_ms=clock).close(INSTANCE, by="ann", reason="Flinks asked us to")
    settle(probe, "applied")
    clock.ms += MINUTE_MS
    assert claim().state == "closed"
    assert causes(ledger) == [("closed", "outage"), ("closed", "operator"), ("closed", "Flinks answers again")]
    assert gate(ledger)["state"] == "closed"


def test_behind_the_halt_of_one_configuration_an_outage_stops_the_other(
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
