"""What the gate stores when it changes, which cause takes precedence, and what opening deletes."""

from typing import Any

import pytest
from redis import Redis

from tests.integration.ledger.conftest import DOWN, INSTANCE, Clock, causes, claim_all, gate, wishes
from tests.people import ANN, BOB
from worker.config.gate_thresholds import GateRules
from worker.ledger import Ledger
from worker.ledger.gate_control import GateKeeper
from worker.ledger.queries import Views

FP = "proven-one"
GATE, CONFIGS, RATE = f"nightly:gate:{INSTANCE}", f"nightly:configs:{INSTANCE}", f"nightly:rate:{INSTANCE}"
OUTAGE = {
    "outage": "1",
    "outage_at": 1,
    "outage_detail": "ten in a row",
    "probe_at": 1,
    "probe_wait": 5000,
    "probes": 2,
    "canary": "lgn_0",
    "canary_until": 1,
}
INVALID = {"code": "INVALID_LOGIN", "http_status": 400}
STORM_OF_ONE = GateRules(storm_logins=1)


@pytest.fixture
def keeper(redis_client: Redis, clock: Clock) -> GateKeeper:
    return GateKeeper(redis_client, now_ms=clock)


def test_no_other_cause_replaces_a_gate_shut_by_a_person(
    ledger: Ledger, clock: Clock, keeper: GateKeeper, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(30))
    first, second, third, *rest = claim_all(clock, claim, 30)
    keeper.close(INSTANCE, by=ANN, reason="")
    settle(first, "halt", code="ACCESS_DENIED")
    settle(second, "halt", code="ACCESS_DENIED")
    settle(third, "dead", rules=STORM_OF_ONE, **INVALID)
    for failing in rest:
        settle(failing, "transient", **DOWN)
    assert gate(ledger)["cause"] == "operator"
    assert causes(ledger) == [("closed", "operator"), ("closed", "outage")], (
        "an outage holds calls independently of that"
    )
    assert gate(ledger)["by"] == "ann"


def test_no_other_cause_replaces_a_gate_shut_by_a_halt(ledger: Ledger, clock: Clock, claim: Any, settle: Any) -> None:
    ledger.record(wishes(30))
    first, second, third, *rest = claim_all(clock, claim, 30)
    settle(first, "halt", code="ACCESS_DENIED")
    settle(second, "halt", code="ACCESS_DENIED")
    settle(third, "dead", rules=STORM_OF_ONE, **INVALID)
    for failing in rest:
        settle(failing, "transient", **DOWN)
    assert gate(ledger)["cause"] == "halt"
    assert causes(ledger) == [("closed", "halt"), ("closed", "outage")], "an outage holds calls independently of that"


@pytest.mark.parametrize("field", ["code", "http_status", "fingerprint"])
def test_a_change_of_the_gate_deletes_the_details_of_the_one_before(
    redis_client: Redis, clock: Clock, keeper: GateKeeper, field: str
) -> None:
    redis_client.hset(GATE, field, "1")
    keeper.close(INSTANCE, by=ANN, reason="Flinks asked us to")
    assert not redis_client.hexists(GATE, field)
    assert redis_client.hmget(GATE, "state", "cause", "by", "changed_at") == [
        b"closed",
        b"operator",
        b"ann",
        str(clock.ms).encode(),
    ]


def test_shutting_the_gate_by_hand_keeps_an_outage_and_opening_ends_it(
    clock: Clock, redis_client: Redis, keeper: GateKeeper
) -> None:
    redis_client.hset(GATE, mapping=OUTAGE)
    redis_client.hset(f"nightly:health:{INSTANCE}", "bad", 9)
    keeper.close(INSTANCE, by=ANN, reason="")
    assert len([found for found in redis_client.hmget(GATE, *OUTAGE) if found]) == len(OUTAGE)
    assert redis_client.exists(f"nightly:health:{INSTANCE}")
    clock.ms += 1000
    keeper.open(INSTANCE, by=ANN)
    assert not any(redis_client.hmget(GATE, *OUTAGE))
    assert redis_client.hget(GATE, "outage_to") == str(clock.ms).encode()
    assert not redis_client.exists(f"nightly:health:{INSTANCE}"), "signs are counted from zero"


def test_an_outage_that_ends_leaves_only_its_times(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(2))
    redis_client.hset(GATE, mapping=OUTAGE | {"held_since": clock.ms - 7000})
    settle(claim().claims[0], "applied")
    assert gate(ledger)["state"] == "open"
    assert not any(redis_client.hmget(GATE, *OUTAGE, "held_since"))
    assert redis_client.hmget(GATE, "outage_to", "held_ms") == [str(clock.ms).encode(), b"7000"]
    assert redis_client.hget(RATE, "rate") == b"1", "calls resume slowly"


def test_a_gate_opened_by_a_confirmed_call_forgets_its_cause(
    ledger: Ledger, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(2))
    about = {"by": "x", "detail": "x", "code": "x", "http_status": "401", "fingerprint": "x"}
    redis_client.hset(GATE, mapping={"state": "closed", "cause": "halt"} | about)
    settle(claim().claims[0], "applied")
    assert (gate(ledger)["state"], gate(ledger)["cause"]) == ("open", "configuration accepted")
    assert not any(redis_client.hmget(GATE, *about))


def test_held_time_runs_from_the_first_cause_to_the_opening_and_adds_up(
    clock: Clock, redis_client: Redis, keeper: GateKeeper
) -> None:
    keeper.close(INSTANCE, by=ANN, reason="")
    clock.ms += 2000
    keeper.close(INSTANCE, by=BOB, reason="")
    clock.ms += 3000
    keeper.open(INSTANCE, by=BOB)
    assert redis_client.hmget(GATE, "held_since", "held_ms") == [None, b"5000"]
    clock.ms += 1000
    keeper.close(INSTANCE, by=ANN, reason="")
    clock.ms += 1000
    keeper.open(INSTANCE, by=ANN)
    assert redis_client.hget(GATE, "held_ms") == b"6000"
    changes = Views(redis_client).gate_changes(INSTANCE)
    assert [(change["state"], change.get("held_ms")) for change in changes] == [
        ("closed", None),
        ("closed", None),
        ("open", 5000),
        ("closed", None),
        ("open", 1000),
    ]
    assert changes[0] == {"at": clock.ms - 7000, "state": "closed", "cause": "operator", "by": "ann"}
    assert not redis_client.hexists(GATE, "outage_to"), "there was no outage"


def test_a_gate_held_since_a_time_ahead_counts_no_held_time(
    clock: Clock, redis_client: Redis, keeper: GateKeeper
) -> None:
    keeper.close(INSTANCE, by=ANN, reason="")
    clock.ms -= 5000
    keeper.open(INSTANCE, by=ANN)
    assert redis_client.hmget(GATE, "held_since", "held_ms") == [None, None]
    assert Views(redis_client).gate_changes(INSTANCE)[-1]["held_ms"] == 0


def test_only_opening_a_shut_gate_starts_at_one_call_a_second(
    clock: Clock, redis_client: Redis, keeper: GateKeeper
) -> None:
    keeper.open(INSTANCE, by=ANN)
    assert not redis_client.hexists(RATE, "rate")
    assert not redis_client.hexists(GATE, "held_ms")
    keeper.close(INSTANCE, by=ANN, reason="")
    keeper.open(INSTANCE, by=ANN)
    assert redis_client.hmget(RATE, "rate", "changed_at") == [b"1", str(clock.ms).encode()]


def test_two_hundred_changes_are_kept(redis_client: Redis, keeper: GateKeeper) -> None:
    for _ in range(101):
        keeper.close(INSTANCE, by=ANN, reason="")
        keeper.open(INSTANCE, by=BOB)
    kept = Views(redis_client).gate_changes(INSTANCE, at_most=1000)
    assert (len(kept), kept[0]["by"], kept[-1]["by"]) == (200, "ann", "bob")


def test_calls_from_before_a_change_of_the_gate_do_not_change_it(
    ledger: Ledger, clock: Clock, redis_client: Redis, keeper: GateKeeper, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(20))
    rules = GateRules(outage_min_calls=3)
    first, second, third, fourth, *_ = claim(at_most=10, calls_per_second=1000).claims
    for failing in (first, second, third):
        settle(failing, "transient", code="http_503", flags="d", delay_seconds=60, rules=rules)
    assert gate(ledger)["cause"] == "outage"
    assert redis_client.hmget(GATE, "probe_at", "probe_wait", "outage_from") == [
        str(clock.ms + 5000).encode(),
        b"5000",
        str(clock.ms - 10_000).encode(),
    ]
    keeper.open(INSTANCE, by=ANN)
    assert redis_client.hget(GATE, "outage_to") == str(clock.ms).encode()
    settle(fourth, "transient", code="http_503", flags="d", delay_seconds=60, rules=rules)
    assert gate(ledger)["state"] == "open"
    clock.ms += 1000
    keeper.close(INSTANCE, by=ANN, reason="")
    keeper.open(INSTANCE, by=ANN)
    assert redis_client.hget(GATE, "outage_to") == str(clock.ms - 1000).encode(), "that outage ended then"


def test_shutting_a_gate_keeps_configurations_and_pause(
    ledger: Ledger, clock: Clock, redis_client: Redis, keeper: GateKeeper
) -> None:
    ledger.record(wishes(1))
    redis_client.hset(RATE, "paused_until", clock.ms + 1000)
    redis_client.hset(f"nightly:invalid:{INSTANCE}:{FP}", "lgn_0", "dl-1")
    keeper.close(INSTANCE, by=ANN, reason="")
    assert redis_client.exists(CONFIGS, f"nightly:invalid:{INSTANCE}:{FP}") == 2
    assert redis_client.hexists(RATE, "paused_until")
    keeper.open(INSTANCE, by=ANN)
    assert redis_client.exists(CONFIGS, f"nightly:invalid:{INSTANCE}:{FP}") == 0, "and opening it forgets both"
    assert not redis_client.hexists(RATE, "paused_until")
