"""A storm, many refused logins in a row, shuts the gate before the backlog is dead-lettered."""

from typing import Any

import pytest
from redis import Redis

from tests import ledger_calls
from tests.integration.ledger.conftest import (
    INSTANCE,
    MINUTE_MS,
    Clock,
    causes,
    claim_all,
    gate,
    refuse,
    settle_together,
    tally,
    wishes,
)
from tests.people import ANN, BOB
from worker.config.gate_thresholds import GateRules
from worker.ledger import Ledger, Letters, Settled
from worker.ledger.gate_control import GateKeeper

FP = "proven-one"


def test_twenty_five_invalid_logins_in_a_row_shut_the_gate(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(200))
    results = refuse(claim_all(clock, claim, 60), settle)
    assert results == [Settled.DEAD_LETTERED] * 25 + [Settled.HALTED] * 35
    assert (gate(ledger)["state"], gate(ledger)["cause"]) == ("closed", "storm")
    letters = ledger_calls.list_letters(Letters(redis_client), only_suspects=True)
    assert len(letters) == 25
    clock.ms += 60 * MINUTE_MS
    assert claim().state == "closed", "a storm does not end by itself"
    assert tally(ledger, "dead_lettered") == 25


def test_one_success_in_between_prevents_a_storm(ledger: Ledger, clock: Clock, claim: Any, settle: Any) -> None:
    ledger.record(wishes(200))
    refuse(claim_all(clock, claim, 24), settle)
    settle(claim_all(clock, claim, 1)[0], "applied")
    refuse(claim_all(clock, claim, 24), settle)
    assert gate(ledger)["state"] == "open"


def test_repeated_refusals_of_one_login_are_no_storm(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    for minute in range(40):
        ledger.record(wishes(1, minute=minute, on=minute % 2 == 0))
        refuse(claim_all(clock, claim, 1), settle)
    assert gate(ledger)["state"] == "open"
    assert len(ledger_calls.list_letters(Letters(redis_client))) == 1


def test_a_confirmed_call_of_another_configuration_opens_the_gate_and_suspects_can_be_replayed(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(100))
    refuse(claim_all(clock, claim, 25), settle)
    right = {"fingerprint": "right"}
    (canary,) = claim(**right).claims
    assert claim(**right).state == "canary"
    refuse([canary], settle, **right)  # an invalid login does not stop the right configuration
    clock.ms += 1_000
    (canary,) = claim(**right).claims
    settle(canary, "applied", **right)
    assert causes(ledger) == [("closed", "storm"), ("open", "configuration accepted")]
    assert claim().state == "closed", "the wrong configuration still makes no calls"
    letters = Letters(redis_client, now_ms=clock)
    suspects = [letter.id for letter in ledger_calls.list_letters(letters, only_suspects=True)]
    assert [ledger_calls.close(letters, each, "replayed", by="ann") for each in suspects] == ["replayed"] * 25
    clock.ms += MINUTE_MS
    assert len(claim_all(clock, claim, 98, **right)) == 98


def test_opening_the_gate_after_a_storm_raises_its_limit_fourfold(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(1000))
    keeper = GateKeeper(redis_client, now_ms=clock)
    kept = [refuse(claim_all(clock, claim, 25), settle).count(Settled.DEAD_LETTERED)]
    for _ in range(2):
        keeper.open(INSTANCE, by=ANN)
        redis_client.hset(f"nightly:configs:{INSTANCE}", FP, "proven")
        clock.ms += MINUTE_MS
        kept.append(refuse(claim_all(clock, claim, 450), settle).count(Settled.DEAD_LETTERED))
        assert gate(ledger)["cause"] == "storm"
    assert kept == [25, 100, 400]
    keeper.open(INSTANCE, by=ANN)
    clock.ms += MINUTE_MS
    settle(claim_all(clock, claim, 1)[0], "applied")
    refuse(claim_all(clock, claim, 25), settle)
    assert gate(ledger)["cause"] == "storm", "a success restores the limit"


def test_a_storm_marks_no_letter_that_was_closed_meanwhile(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(3))
    rules, letters = GateRules(storm_logins=3), Letters(redis_client, now_ms=clock)
    first, second, third = claim_all(clock, claim, 3)
    refuse([first], settle, rules=rules)
    assert 0 < redis_client.ttl(f"nightly:invalid:{INSTANCE}:{FP}") <= 86_400
    (closed,) = ledger_calls.list_letters(letters)
    ledger_calls.close(letters, closed.id, "resolved", by="ann")
    refuse([second, third], settle, rules=rules)
    assert gate(ledger)["cause"] == "storm"
    assert gate(ledger)["detail"] == "3 logins in a row, and no success in between"
    assert not redis_client.exists(f"nightly:invalid:{INSTANCE}:{FP}"), "the run is over"
    assert letters.get(closed.id).suspect == ""
    assert {letter.suspect for letter in ledger_calls.list_letters(letters)} == {f"storm-{clock.ms}"}


def test_a_success_restores_the_storm_limit_within_one_batch(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any
) -> None:
    ledger.record(wishes(2))
    redis_client.hset(f"nightly:gate:{INSTANCE}", "storm_limit", 4)
    well, invalid = claim_all(clock, claim, 2)
    assert settle_together(
        ledger, (well, "applied", {}), (invalid, "dead", {"code": "INVALID_LOGIN"}), rules=GateRules(storm_logins=1)
    ) == [
        Settled.APPLIED,
        Settled.DEAD_LETTERED,
    ]
    assert gate(ledger)["cause"] == "storm"


@pytest.mark.parametrize(("measure", "then"), [(3, 12), (5_000, 10_000), (20_000, 20_000)])
def test_the_storm_limit_rises_to_ten_thousand_at_most_and_never_falls(
    redis_client: Redis, clock: Clock, measure: int, then: int
) -> None:
    """It used to fall to ten thousand where `GATE_STORM_LOGINS` is higher."""
    redis_client.hset(f"nightly:gate:{INSTANCE}", mapping={"state": "closed", "cause": "storm"})
    GateKeeper(redis_client, GateRules(storm_logins=measure), now_ms=clock).open(INSTANCE, by=ANN)
    assert int(redis_client.hget(f"nightly:gate:{INSTANCE}", "storm_limit")) == then


def test_opening_the_gate_raises_the_storm_limit_only_after_a_storm(
    ledger: Ledger, clock: Clock, redis_client: Redis
) -> None:
    keeper = GateKeeper(redis_client, now_ms=clock)
    keeper.close(INSTANCE, by=ANN, reason="Flinks asked us to")
    assert redis_client.sismember("nightly:instances", INSTANCE)
    assert (gate(ledger)["by"], gate(ledger)["detail"]) == ("ann", "Flinks asked us to")
    keeper.open(INSTANCE, by=BOB)
    assert gate(ledger)["by"] == "bob"
    assert not redis_client.hexists(f"nightly:gate:{INSTANCE}", "storm_limit")


def test_a_success_ends_a_run_that_began_in_the_same_batch(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any
) -> None:
    ledger.record(wishes(2))
    invalid, well = claim_all(clock, claim, 2)
    settle_together(ledger, (invalid, "dead", {"code": "INVALID_LOGIN"}), (well, "applied", {}))
    assert not redis_client.exists(f"nightly:invalid:{INSTANCE}:{FP}")


def test_opening_the_gate_ends_the_run_of_an_unproven_configuration(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(2))
    refuse(claim(fingerprint="new").claims, settle, fingerprint="new")
    assert redis_client.hlen(f"nightly:invalid:{INSTANCE}:new") == 1
    GateKeeper(redis_client, now_ms=clock).open(INSTANCE, by=ANN)
    assert not redis_client.exists(f"nightly:invalid:{INSTANCE}:new")


def test_a_storm_behind_a_gate_shut_by_a_person_keeps_the_notice_of_the_letters(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(1))
    (invalid,) = claim().claims
    GateKeeper(redis_client, now_ms=clock).close(INSTANCE, by=ANN, reason="")
    refuse([invalid], settle, rules=GateRules(storm_logins=1))
    clock.ms += 10_000
    kinds = [notice.kind for notice in ledger.pulse({}, worker="a", slots=1).notices]
    assert kinds == ["audit", "gate", "group"], "no storm notice covers this letter"


@pytest.mark.parametrize(
    ("outcome", "fields"),
    [
        ("halt", {"code": "ACCESS_DENIED", "http_status": 401}),
        ("transient", {"code": "name_not_found", "flags": "dh", "delay_seconds": 3600.0}),
    ],
)
def test_other_results_of_calls_in_flight_do_not_end_a_storm(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any, outcome: str, fields: dict[str, Any]
) -> None:
    """They used to: `suspect` became `refused`, which dead-letters INVALID_LOGIN, or `unreachable`, which may call."""
    ledger.record(wishes(100))
    out = claim_all(clock, claim, 60)
    refuse(out[:25], settle)
    for one in out[25:30]:
        settle(one, outcome, **fields)
    assert redis_client.hget(f"nightly:configs:{INSTANCE}", FP) == b"suspect"
    assert refuse(out[30:], settle) == [Settled.HALTED] * 30
    letters = Letters(redis_client)
    suspects = ledger_calls.list_letters(letters, only_suspects=True)
    assert len(suspects) == len(ledger_calls.list_letters(letters)) == 25
    clock.ms += 60 * MINUTE_MS
    assert claim().state == "closed"
    assert (gate(ledger)["cause"], causes(ledger)) == ("storm", [("closed", "storm")])


def test_a_run_beyond_a_restored_limit_is_a_storm_with_its_next_login(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    """A person opened the gate, so the limit is four times as high until another configuration is confirmed."""
    ledger.record(wishes(100))
    rules = GateRules(storm_logins=3)
    refuse(claim_all(clock, claim, 3), settle, rules=rules)
    GateKeeper(redis_client, rules, now_ms=clock).open(INSTANCE, by=ANN)
    redis_client.hset(f"nightly:configs:{INSTANCE}", mapping={FP: "proven", "right": "proven"})
    clock.ms += MINUTE_MS
    refuse(claim_all(clock, claim, 4), settle, rules=rules)
    next_one, late = claim_all(clock, claim, 2)
    settle(claim(fingerprint="right").claims[0], "applied", fingerprint="right", rules=rules)
    assert gate(ledger)["state"] == "open"
    assert refuse([next_one, late], settle, rules=rules) == [Settled.DEAD_LETTERED, Settled.HALTED]
    assert gate(ledger)["detail"] == "5 logins in a row, and no success in between"
    assert len(ledger_calls.list_letters(Letters(redis_client), only_suspects=True)) == 3 + 5
