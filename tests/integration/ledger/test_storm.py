"""A run of INVALID_LOGIN closes the gate before the backlog is dead-lettered."""

from typing import Any

from redis import Redis

from tests.integration.ledger.conftest import (
    INSTANCE,
    MINUTE_MS,
    Clock,
    causes,
    claim_all,
    gate,
    refuse,
    tally,
    wishes,
)
from worker.ledger import Ledger, Letters, Settled
from worker.ledger.gate import GateKeeper

FP = "proven-one"


def test_twenty_five_invalid_logins_in_a_row_close_the_gate_before_the_rest_is_dead_lettered(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(200))
    results = refuse(claim_all(clock, claim, 60), settle)
    assert results == [Settled.PARKED] * 25 + [Settled.HALTED] * 35
    assert (gate(ledger)["state"], gate(ledger)["cause"]) == ("closed", "storm")
    letters = list(Letters(redis_client).list(only_suspects=True))
    assert len(letters) == 25
    clock.ms += 60 * MINUTE_MS
    assert claim().state == "closed", "time does not mend a wrong customer id"
    assert tally(ledger, "dead_lettered") == 25


def test_one_success_in_between_is_no_storm(ledger: Ledger, clock: Clock, claim: Any, settle: Any) -> None:
    ledger.record(wishes(200))
    refuse(claim_all(clock, claim, 24), settle)
    settle(claim_all(clock, claim, 1)[0], "applied")
    refuse(claim_all(clock, claim, 24), settle)
    assert gate(ledger)["state"] == "open"


def test_one_login_refused_again_and_again_is_no_storm(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    for minute in range(40):
        ledger.record(wishes(1, minute=minute, on=minute % 2 == 0))
        refuse(claim_all(clock, claim, 1), settle)
    assert gate(ledger)["state"] == "open"
    assert len(list(Letters(redis_client).list())) == 1


def test_another_configuration_opens_the_gate_with_its_first_confirmed_call_and_the_suspects_can_be_replayed(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(100))
    refuse(claim_all(clock, claim, 25), settle)
    right = {"fingerprint": "right"}
    (canary,) = claim(**right).claims
    assert claim(**right).state == "canary"
    refuse([canary], settle, **right)  # a login that really is invalid does not condemn the right configuration
    clock.ms += 1_000
    (canary,) = claim(**right).claims
    settle(canary, "applied", **right)
    assert causes(ledger) == [("closed", "storm"), ("open", "configuration accepted")]
    assert claim().state == "closed", "the wrong configuration stays out"
    letters = Letters(redis_client, now_ms=clock)
    suspects = [letter.id for letter in letters.list(only_suspects=True)]
    assert [letters.close(each, "replayed", by="ann") for each in suspects] == ["replayed"] * 25
    clock.ms += MINUTE_MS
    assert len(claim_all(clock, claim, 98, **right)) == 98


def test_who_opens_the_gate_after_a_storm_is_believed_four_times_as_far(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(1000))
    keeper = GateKeeper(redis_client, now_ms=clock)
    parked = [refuse(claim_all(clock, claim, 25), settle).count(Settled.PARKED)]
    for _ in range(2):
        keeper.open(INSTANCE, by="ann")
        redis_client.hset(f"nightly:configs:{INSTANCE}", FP, "proven")
        clock.ms += MINUTE_MS
        parked.append(refuse(claim_all(clock, claim, 450), settle).count(Settled.PARKED))
        assert gate(ledger)["cause"] == "storm"
    assert parked == [25, 100, 400]
    keeper.open(INSTANCE, by="ann")
    clock.ms += MINUTE_MS
    settle(claim_all(clock, claim, 1)[0], "applied")
    refuse(claim_all(clock, claim, 25), settle)
    assert gate(ledger)["cause"] == "storm", "a success brings the old measure back"
