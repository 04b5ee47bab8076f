"""What the gate remembers when it turns, and what it tells those who ask when they may call."""

from typing import Any

import pytest
from redis import Redis

from tests.integration.ledger.conftest import INSTANCE, Clock, gate, wishes
from worker.gate_rules import GateRules
from worker.ledger import Ledger
from worker.ledger.gate import GateKeeper
from worker.ledger.views import Views

FP = "proven-one"
GATE, CONFIGS, RATE = f"nightly:gate:{INSTANCE}", f"nightly:configs:{INSTANCE}", f"nightly:rate:{INSTANCE}"
FAST = {"calls_per_second": 1000, "max_in_flight": 1000}
OUTAGE = {"state": "closed", "cause": "outage", "probe_wait": 5000}


@pytest.fixture
def keeper(redis_client: Redis, clock: Clock) -> GateKeeper:
    return GateKeeper(redis_client, now_ms=clock)


# -- one call --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("standing", [None, "doubted", "unreachable"])
def test_one_call_goes_out_for_a_configuration_that_has_to_prove_itself_however_fast_the_rate(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, standing: str | None
) -> None:
    ledger.record(wishes(20))
    if standing:
        redis_client.hset(CONFIGS, "new", standing)
    (canary,) = claim(fingerprint="new", **FAST).claims
    until = str(clock.ms + 15_000).encode()
    assert redis_client.hmget(CONFIGS, "new:canary", "new:canary_login") == [until, canary.reference.encode()]
    assert not redis_client.exists(GATE), "the gate itself has nothing to do with it"
    clock.ms += 1000
    reply = claim(fingerprint="new", **FAST)
    assert (reply.state, reply.wait_seconds) == ("canary", 0.05)
    clock.ms += 13_990
    assert claim(fingerprint="new", **FAST).wait_seconds == 0.01
    assert len(claim(**FAST).claims) > 1, "another configuration is not held up"


def test_one_call_tries_whether_an_outage_is_over_however_fast_the_rate(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any
) -> None:
    ledger.record(wishes(20))
    redis_client.hset(GATE, mapping=OUTAGE)
    (probe,) = claim(**FAST).claims
    until = str(clock.ms + 15_000).encode()
    assert redis_client.hmget(GATE, "canary", "canary_until") == [probe.reference.encode(), until]
    assert not redis_client.hexists(CONFIGS, f"{FP}:canary")
    clock.ms += 14_990
    reply = claim(**FAST)
    assert (reply.state, reply.wait_seconds) == ("canary", 0.01)


# -- when to ask again ---------------------------------------------------------------------------------------


def test_who_may_not_call_is_told_when_to_ask_again(
    ledger: Ledger, clock: Clock, redis_client: Redis, keeper: GateKeeper, claim: Any
) -> None:
    ledger.record(wishes(2))
    redis_client.hset(GATE, mapping=OUTAGE | {"probe_at": clock.ms + 4000})
    assert (claim().state, claim().wait_seconds) == ("closed", 4)
    keeper.close(INSTANCE, by="ann", reason="")
    assert (claim().state, claim().wait_seconds) == ("closed", None)
    redis_client.delete(GATE)
    for standing in ("refused", "suspect"):
        redis_client.hset(CONFIGS, FP, standing)
        assert (claim().state, claim().wait_seconds) == ("closed", None)
    ledger.stop_claims("worker")
    assert (claim().state, claim().wait_seconds) == ("stopping", None)


@pytest.mark.parametrize(
    ("key", "field", "furthest"),
    [(GATE, "probe_at", 60_000), (GATE, "canary_until", 200_000), (CONFIGS, "new:canary", 200_000)],
)
def test_a_moment_that_lies_further_ahead_than_any_could_is_from_before_the_clock_was_set_back(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, key: str, field: str, furthest: int
) -> None:
    ledger.record(wishes(2))
    if key == GATE:
        redis_client.hset(GATE, mapping=OUTAGE)
    redis_client.hset(key, field, clock.ms + furthest)
    assert claim(fingerprint="new").state in {"closed", "canary"}
    redis_client.hset(key, field, clock.ms + furthest + 1)
    assert claim(fingerprint="new").state == "claimed"


# -- turning ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "field", ["code", "http_status", "fingerprint", "probe_at", "probe_wait", "probes", "canary", "canary_until"]
)
def test_a_gate_that_turns_forgets_what_the_turn_before_was_about(
    redis_client: Redis, clock: Clock, keeper: GateKeeper, field: str
) -> None:
    redis_client.hset(GATE, mapping={field: "1", "unreachable": "3"})
    keeper.close(INSTANCE, by="ann", reason="Flinks asked us to")
    assert not redis_client.hexists(GATE, field)
    assert not redis_client.hexists(GATE, "unreachable")
    assert redis_client.hmget(GATE, "state", "cause", "by", "changed_at") == [
        b"closed",
        b"operator",
        b"ann",
        str(clock.ms).encode(),
    ]


def test_a_gate_that_opens_itself_forgets_who_shut_it_and_why(
    ledger: Ledger, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(2))
    redis_client.hset(GATE, mapping=OUTAGE | {"by": "ann", "detail": "x", "code": "outage"})
    settle(claim().claims[0], "applied")
    assert gate(ledger)["state"] == "open"
    assert redis_client.hmget(GATE, "by", "detail", "code", "canary", "canary_until") == [None] * 5


def test_the_time_that_calls_were_held_runs_from_the_first_shutting_to_the_opening_and_adds_up(
    clock: Clock, redis_client: Redis, keeper: GateKeeper
) -> None:
    keeper.close(INSTANCE, by="ann", reason="")
    clock.ms += 2000
    keeper.close(INSTANCE, by="bob", reason="")
    clock.ms += 3000
    keeper.open(INSTANCE, by="bob")
    assert redis_client.hmget(GATE, "held_since", "held_ms") == [None, b"5000"]
    clock.ms += 1000
    keeper.close(INSTANCE, by="ann", reason="")
    clock.ms += 1000
    keeper.open(INSTANCE, by="ann")
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


def test_opening_an_open_gate_slows_nothing_down_and_opening_a_shut_one_begins_at_one_call_a_second(
    clock: Clock, redis_client: Redis, keeper: GateKeeper
) -> None:
    keeper.open(INSTANCE, by="ann")
    assert not redis_client.hexists(RATE, "rate")
    assert not redis_client.hexists(GATE, "held_ms")
    keeper.close(INSTANCE, by="ann", reason="")
    keeper.open(INSTANCE, by="ann")
    assert redis_client.hmget(RATE, "rate", "changed_at") == [b"1", str(clock.ms).encode()]


def test_two_hundred_changes_are_kept(redis_client: Redis, keeper: GateKeeper) -> None:
    for _ in range(101):
        keeper.close(INSTANCE, by="ann", reason="")
        keeper.open(INSTANCE, by="bob")
    kept = Views(redis_client).gate_changes(INSTANCE, at_most=1000)
    assert (len(kept), kept[0]["by"], kept[-1]["by"]) == (200, "ann", "bob")


def test_calls_from_before_a_gate_turned_say_nothing_of_what_came_after(
    ledger: Ledger, clock: Clock, redis_client: Redis, keeper: GateKeeper, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(20))
    rules = GateRules(outage_min_calls=3)
    first, second, third, fourth, *_ = claim(at_most=10, **FAST).claims
    for failing in (first, second, third):
        settle(failing, "transient", code="http_503", flags="d", delay_seconds=60, rules=rules)
    assert gate(ledger)["cause"] == "outage"
    assert redis_client.hmget(GATE, "probe_at", "probe_wait", "outage_from") == [
        str(clock.ms + 5000).encode(),
        b"5000",
        str(clock.ms - 10_000).encode(),
    ]
    keeper.open(INSTANCE, by="ann")
    assert redis_client.hget(GATE, "outage_to") == str(clock.ms).encode()
    settle(fourth, "transient", code="http_503", flags="d", delay_seconds=60, rules=rules)
    assert gate(ledger)["state"] == "open"
    clock.ms += 1000
    keeper.close(INSTANCE, by="ann", reason="")
    keeper.open(INSTANCE, by="ann")
    assert redis_client.hget(GATE, "outage_to") == str(clock.ms - 1000).encode(), "that outage ended then"
