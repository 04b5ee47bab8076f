"""The corners of the gate: who shut it first, what came in one batch, which bucket a call fell in."""

from typing import Any

import pytest
from redis import Redis

from tests.integration.ledger.conftest import INSTANCE, Clock, gate, wishes
from worker.gate_rules import DEFAULT_RULES, GateRules
from worker.ledger import Claim, Ledger, Letters, Settled, Settlement
from worker.ledger.gate import GateKeeper

FP = "proven-one"
GATE, CONFIGS = f"nightly:gate:{INSTANCE}", f"nightly:configs:{INSTANCE}"
DOWN = {"code": "http_503", "flags": "d", "delay_seconds": 3600.0}
INVALID = {"code": "INVALID_LOGIN", "http_status": 400}
STORM_OF_ONE = GateRules(storm_logins=1)


def take(clock: Clock, claim: Any, count: int, **terms: Any) -> list[Claim]:
    """Claim so many at once: nothing but the gate and the rate is in the way."""
    clock.ms += 1000
    taken: list[Claim] = []
    while len(taken) < count:
        clock.ms += 1
        taken += claim(at_most=1, calls_per_second=1000, max_in_flight=1000, **terms).claims
    return taken


def settle_together(
    ledger: Ledger, *items: tuple[Claim, str, dict[str, Any]], rules: GateRules = DEFAULT_RULES
) -> list[Settled]:
    settlements = [Settlement(claim, outcome, **fields) for claim, outcome, fields in items]
    return ledger.settle(INSTANCE, settlements, owner="owner", fingerprint=FP, calls_per_second=50, rules=rules)


# -- who shut it first -------------------------------------------------------------------------------------


def test_nothing_shuts_a_gate_anew_that_a_person_has_shut(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(30))
    first, second, third, *rest = take(clock, claim, 30)
    GateKeeper(redis_client, now_ms=clock).close(INSTANCE, by="ann", reason="")
    settle(first, "halt", code="ACCESS_DENIED")
    settle(second, "halt", code="ACCESS_DENIED")
    settle(third, "dead", rules=STORM_OF_ONE, **INVALID)
    for failing in rest:
        settle(failing, "transient", **DOWN)
    assert gate(ledger)["cause"] == "operator"
    assert not redis_client.hexists(GATE, "outage_from")


def test_nothing_shuts_a_gate_anew_that_a_halt_has_shut(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(30))
    first, second, third, *rest = take(clock, claim, 30)
    settle(first, "halt", code="ACCESS_DENIED")
    settle(second, "halt", code="ACCESS_DENIED")
    settle(third, "dead", rules=STORM_OF_ONE, **INVALID)
    for failing in rest:
        settle(failing, "transient", **DOWN)
    assert gate(ledger)["cause"] == "halt"
    assert not redis_client.hexists(GATE, "outage_from")


@pytest.mark.parametrize("standing", ["refused", "suspect"])
def test_a_late_success_does_not_clear_a_configuration_that_was_found_wrong(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any, standing: str
) -> None:
    ledger.record(wishes(5))
    (late,) = take(clock, claim, 1)
    redis_client.hset(CONFIGS, FP, standing)
    redis_client.hset(GATE, mapping={"state": "closed", "cause": "halt"})
    assert settle(late, "applied") is Settled.APPLIED
    assert redis_client.hget(CONFIGS, FP) == standing.encode()
    assert gate(ledger)["state"] == "closed"
    assert claim().state == "closed"


def test_two_logins_refused_in_one_batch_are_our_mistake_as_two_in_a_row_are(
    ledger: Ledger, clock: Clock, claim: Any
) -> None:
    ledger.record(wishes(2))
    first, second = take(clock, claim, 2)
    denied = {"code": "ACCESS_DENIED"}
    assert settle_together(ledger, (first, "halt", denied), (second, "halt", denied)) == [Settled.HALTED] * 2
    assert gate(ledger)["cause"] == "halt"


# -- halts and addresses -------------------------------------------------------------------------------------


def test_a_login_that_cannot_be_unsealed_shuts_the_gate_at_once(ledger: Ledger, claim: Any, settle: Any) -> None:
    ledger.record(wishes(2))
    assert settle(claim().claims[0], "halt", code="unsealable") is Settled.HALTED
    assert (gate(ledger)["cause"], gate(ledger)["code"]) == ("halt", "unsealable")


def test_a_login_alone_refused_with_a_code_of_flinks_keeps_that_code(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(2))
    poison, other = take(clock, claim, 2)
    assert settle(poison, "halt", code="ACCESS_DENIED") is Settled.HALTED
    due_at = redis_client.zscore(f"nightly:due:{INSTANCE}:live", poison.reference)
    assert due_at == clock.ms + 30_000, "the others are heard first"
    settle(other, "applied")
    clock.ms += 30_000
    (again,) = take(clock, claim, 1)
    assert settle(again, "halt", code="ACCESS_DENIED") is Settled.PARKED
    assert [letter.code for letter in Letters(redis_client).list()] == ["ACCESS_DENIED"]


def test_failures_to_find_the_host_are_counted_in_a_row(ledger: Ledger, clock: Clock, claim: Any, settle: Any) -> None:
    ledger.record(wishes(30))
    lost = {"code": "name_not_found", "flags": "h", "delay_seconds": 3600.0}
    for call in take(clock, claim, 4):
        settle(call, "transient", **lost)
    settle(take(clock, claim, 1)[0], "applied")
    for call in take(clock, claim, 4):
        settle(call, "transient", **lost)
    assert gate(ledger)["state"] == "open"


def test_the_end_of_another_call_does_not_end_the_wait_for_the_canary(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(10))
    refused, other = take(clock, claim, 2)
    settle(refused, "halt", code="ACCESS_DENIED")
    (canary,) = take(clock, claim, 1)
    settle(other, "transient", code="CARD_IN_USE", delay_seconds=3600)
    clock.ms += 1000
    assert claim().state == "canary"
    settle(canary, "transient", code="CARD_IN_USE", delay_seconds=3600)
    assert claim().state == "claimed"


# -- storms ------------------------------------------------------------------------------------------------


def test_a_storm_marks_no_letter_that_was_closed_meanwhile(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(3))
    rules, letters = GateRules(storm_logins=3), Letters(redis_client, now_ms=clock)
    first, second, third = take(clock, claim, 3)
    settle(first, "dead", rules=rules, **INVALID)
    assert 0 < redis_client.ttl(f"nightly:invalid:{INSTANCE}") <= 86_400
    (closed,) = letters.list()
    letters.close(closed.id, "resolved", by="ann")
    settle(second, "dead", rules=rules, **INVALID)
    settle(third, "dead", rules=rules, **INVALID)
    assert gate(ledger)["cause"] == "storm"
    assert gate(ledger)["detail"] == "3 logins in a row, and no success in between"
    assert letters.get(closed.id).suspect == ""
    assert {letter.suspect for letter in letters.list()} == {f"storm-{clock.ms}"}


def test_a_success_brings_the_old_measure_of_a_storm_back_within_one_batch(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any
) -> None:
    ledger.record(wishes(2))
    redis_client.hset(GATE, "storm_limit", 4)
    well, invalid = take(clock, claim, 2)
    assert settle_together(ledger, (well, "applied", {}), (invalid, "dead", INVALID), rules=STORM_OF_ONE) == [
        Settled.APPLIED,
        Settled.PARKED,
    ]
    assert gate(ledger)["cause"] == "storm"


def test_only_a_storm_raises_the_measure_when_a_person_opens_the_gate(
    ledger: Ledger, clock: Clock, redis_client: Redis
) -> None:
    keeper = GateKeeper(redis_client, now_ms=clock)
    keeper.close(INSTANCE, by="ann", reason="Flinks asked us to")
    assert redis_client.sismember("nightly:instances", INSTANCE)
    assert (gate(ledger)["by"], gate(ledger)["detail"]) == ("ann", "Flinks asked us to")
    keeper.open(INSTANCE, by="bob")
    assert gate(ledger)["by"] == "bob"
    assert not redis_client.hexists(GATE, "storm_limit")


def test_shutting_a_gate_forgets_no_configuration_and_no_pause(
    ledger: Ledger, clock: Clock, redis_client: Redis
) -> None:
    ledger.record(wishes(1))
    redis_client.hset(f"nightly:rate:{INSTANCE}", "paused_until", clock.ms + 1000)
    redis_client.hset(f"nightly:invalid:{INSTANCE}", "lgn_0", "dl-1")
    GateKeeper(redis_client, now_ms=clock).close(INSTANCE, by="ann", reason="")
    assert redis_client.exists(CONFIGS, f"nightly:invalid:{INSTANCE}") == 2
    assert redis_client.hexists(f"nightly:rate:{INSTANCE}", "paused_until")
