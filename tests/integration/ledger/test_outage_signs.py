"""Which calls are signs of an outage: in a batch or one by one, early or late in the window, in a second outage."""

from typing import Any

import pytest
from redis import Redis

from tests.integration.ledger.conftest import DOWN, INSTANCE, Clock, claim_all, gate, settle_together, wishes
from worker.config.gate_thresholds import GateRules
from worker.ledger import Ledger, Settled

FP = "proven-one"
HEALTH = f"nightly:health:{INSTANCE}"
SHARE, ROW = GateRules(outage_in_a_row=1000), GateRules(outage_in_a_row=3)


@pytest.mark.parametrize("arrive", ["together", "one by one"])
def test_signs_count_the_same_in_one_batch_and_one_by_one(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any, arrive: str
) -> None:
    ledger.record(wishes(20))
    calls = claim_all(clock, claim, 20)
    outcomes = [("applied", {}) if at % 2 else ("transient", DOWN) for at in reversed(range(20))]
    if arrive == "together":
        settle_together(ledger, *((call, *outcome) for call, outcome in zip(calls, outcomes, strict=True)), rules=SHARE)
    else:
        for call, (outcome, fields) in zip(calls, outcomes, strict=True):
            settle(call, outcome, rules=SHARE, **fields)
    assert gate(ledger)["detail"] == "10 of the last 20 calls failed"


def test_calls_of_an_earlier_part_of_the_window_count_too(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(40))
    for well in claim_all(clock, claim, 15):
        settle(well, "applied")
    clock.ms += 1000
    for failing in claim_all(clock, claim, 15):
        settle(failing, "transient", rules=SHARE, **DOWN)
    assert gate(ledger)["detail"] == "15 of the last 30 calls failed"


def test_a_success_never_shuts_the_gate_and_a_halt_is_no_sign(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(40))
    *failing, well, halted, last = claim_all(clock, claim, 22)
    for one in failing:
        settle(one, "transient", rules=SHARE, **DOWN)
    assert len(failing) == 19
    settle(halted, "halt", code="ACCESS_DENIED", rules=SHARE)
    assert gate(ledger)["state"] == "open"
    settle(well, "applied", rules=SHARE)
    assert gate(ledger)["state"] == "open"
    settle(last, "transient", rules=SHARE, **DOWN)
    assert gate(ledger)["detail"] == "20 of the last 21 calls failed"


def test_the_health_of_flinks_takes_ten_fields_at_most(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(60))
    for well in claim_all(clock, claim, 60):
        clock.ms += 300
        settle(well, "applied")
    assert redis_client.hlen(HEALTH) == 10


def test_attempts_in_a_second_outage_are_not_charged_either(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    rules = GateRules(outage_min_calls=2)
    for minute in range(2):
        ledger.record(wishes(2, minute=minute))
        for waits, failing in enumerate(claim_all(clock, claim, 2)):  # so that the one that was charged is the probe
            settle(failing, "transient", code="http_503", flags="d", delay_seconds=3600 * waits, rules=rules)
        assert gate(ledger)["cause"] == "outage"
        clock.ms += 5_000
        (probe,) = claim_all(clock, claim, 1)
        assert (probe.failures, probe.first_failure_ms) == (0, None)
        settle(probe, "applied")
        clock.ms += 60_000


def test_an_outage_dead_letters_only_failures_of_another_cause(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(30))
    exhausted, disabled, *failing = claim_all(clock, claim, 22)
    assert settle(exhausted, "dead", code="retries_exhausted", flags="d") is Settled.DEAD_LETTERED, "the gate is open"
    for one in failing:
        settle(one, "transient", **DOWN)
    assert gate(ledger)["cause"] == "outage"
    assert settle(disabled, "dead", code="DISABLED_LOGIN") is Settled.DEAD_LETTERED


def test_a_response_with_a_code_of_flinks_is_charged_during_an_outage(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    """Its call began before the outage, and Flinks itself answered that it cannot serve this login now."""
    ledger.record(wishes(30))
    answered, *failing = claim_all(clock, claim, 21)
    for one in failing:
        settle(one, "transient", **DOWN)
    assert gate(ledger)["cause"] == "outage"
    settle(answered, "transient", code="RETRY")
    assert redis_client.hget(f"nightly:login:{answered.reference}", "n") == b"1"
    assert gate(ledger)["cause"] == "outage"


def test_a_response_restarts_the_count_and_the_outage_begins_with_the_first_of_its_row(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(20))
    began_at = 0
    for at, call in enumerate(claim_all(clock, claim, 6)):
        assert gate(ledger)["state"] == "open"
        clock.ms += 60_000
        began_at = clock.ms if at == 3 else began_at
        settle(call, "applied" if at == 2 else "transient", rules=ROW, **({} if at == 2 else DOWN))
    assert gate(ledger)["detail"] == "3 calls in a row failed"
    assert redis_client.hget(f"nightly:gate:{INSTANCE}", "outage_from") == str(began_at).encode()
    assert not redis_client.exists(HEALTH), "later signs are counted from zero"


@pytest.mark.parametrize(("outcome", "is_answer"), [("unsent", False), ("halt", False), ("throttled", True)])
def test_unsent_calls_and_halts_do_not_restart_the_count(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any, *, outcome: str, is_answer: bool
) -> None:
    ledger.record(wishes(20))
    first, second, between, third = claim_all(clock, claim, 4)
    settle(first, "transient", rules=ROW, **DOWN)
    settle(second, "dead", rules=ROW, code="retries_exhausted", flags="ad")
    settle(between, outcome, rules=ROW)
    settle(third, "transient", rules=ROW, **DOWN)
    assert gate(ledger)["state"] == ("open" if is_answer else "closed")


def test_a_fenced_call_is_no_sign(ledger: Ledger, clock: Clock, claim: Any, settle: Any) -> None:
    ledger.record(wishes(20))
    for late in claim_all(clock, claim, 5):
        settle(late, "transient", rules=ROW, owner="another", **DOWN)
    assert gate(ledger)["state"] == "open"


def test_signs_from_before_the_clock_was_set_back_are_not_counted(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(40))
    *early, last = claim_all(clock, claim, 20)
    for failing in early:
        settle(failing, "transient", rules=SHARE, **DOWN)
    clock.ms -= 5_000
    settle(last, "transient", rules=SHARE, **DOWN)
    assert gate(ledger)["state"] == "open"
