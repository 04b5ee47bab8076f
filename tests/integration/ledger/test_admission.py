"""Which configurations may call, with how many calls at first, and when a refused one asks again."""

from typing import Any

import pytest
from redis import Redis

from tests.integration.ledger.conftest import INSTANCE, Clock, claim_all, wishes
from tests.people import ANN
from worker.ledger import Ledger, Settled
from worker.ledger.gate_control import GateKeeper

FP = "proven-one"
GATE, CONFIGS = f"nightly:gate:{INSTANCE}", f"nightly:configs:{INSTANCE}"
FAST = {"calls_per_second": 1000, "max_in_flight": 1000}
OUTAGE = {"outage": "1", "outage_at": 1, "outage_detail": "ten in a row", "probe_wait": 5000}


# -- one call ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("standing", [None, "doubted", "unreachable"])
def test_an_unproven_configuration_gets_one_call_at_any_rate(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, standing: str | None
) -> None:
    ledger.record(wishes(20))
    if standing:
        redis_client.hset(CONFIGS, "new", standing)
    (canary,) = claim(fingerprint="new", **FAST).claims
    until = str(clock.ms + 15_000).encode()
    assert redis_client.hmget(CONFIGS, "new:canary", "new:canary_login") == [until, canary.reference.encode()]
    assert not redis_client.exists(GATE), "the gate itself is not involved"
    clock.ms += 1000
    reply = claim(fingerprint="new", **FAST)
    assert (reply.state, reply.wait_seconds) == ("canary", 0.05)
    clock.ms += 13_990
    assert claim(fingerprint="new", **FAST).wait_seconds == 0.01
    assert len(claim(**FAST).claims) > 1, "another configuration is not delayed"


def test_an_outage_gets_one_trial_call_at_any_rate(
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


def test_one_call_tries_both_an_outage_and_a_new_configuration(
    ledger: Ledger, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(2))
    redis_client.hset(GATE, mapping=OUTAGE)
    (only,) = claim(fingerprint="new").claims
    assert (
        redis_client.hget(GATE, "canary") == redis_client.hget(CONFIGS, "new:canary_login") == only.reference.encode()
    )
    assert settle(only, "applied", fingerprint="new") is Settled.APPLIED
    assert not redis_client.hexists(GATE, "outage")
    assert redis_client.hmget(CONFIGS, "new", "new:canary", "new:canary_login") == [b"proven", None, None]


def test_the_end_of_another_call_does_not_end_the_wait_for_the_canary(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(10))
    refused, other = claim_all(clock, claim, 2)
    settle(refused, "halt", code="ACCESS_DENIED")
    clock.ms += 1000
    (canary,) = claim().claims
    settle(other, "transient", code="CARD_IN_USE", delay_seconds=3600)
    clock.ms += 1000
    assert claim().state == "canary"
    settle(canary, "transient", code="CARD_IN_USE", delay_seconds=3600)
    assert not any(redis_client.hmget(CONFIGS, f"{FP}:canary", f"{FP}:canary_login"))
    assert claim().state == "claimed"


# -- when to ask again -------------------------------------------------------------------------------------


def test_a_refused_claim_says_when_to_ask_again(ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any) -> None:
    ledger.record(wishes(2))
    redis_client.hset(GATE, mapping=OUTAGE | {"probe_at": clock.ms + 4000})
    assert (claim().state, claim().wait_seconds) == ("closed", 4)
    GateKeeper(redis_client, now_ms=clock).close(INSTANCE, by=ANN, reason="")
    assert (claim().state, claim().wait_seconds) == ("closed", None)
    redis_client.delete(GATE)
    for standing in ("refused", "suspect"):
        redis_client.hset(CONFIGS, FP, standing)
        assert (claim().state, claim().wait_seconds) == ("closed", None)


@pytest.mark.parametrize(
    ("key", "field", "furthest"),
    [(GATE, "probe_at", 60_000), (GATE, "canary_until", 200_000), (CONFIGS, "new:canary", 200_000)],
)
def test_a_time_too_far_ahead_is_ignored_as_written_before_the_clock_was_set_back(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, key: str, field: str, furthest: int
) -> None:
    ledger.record(wishes(2))
    if key == GATE:
        redis_client.hset(GATE, mapping=OUTAGE)
    redis_client.hset(key, field, clock.ms + furthest)
    assert claim(fingerprint="new").state in {"closed", "canary"}
    redis_client.hset(key, field, clock.ms + furthest + 1)
    assert claim(fingerprint="new").state == "claimed"
