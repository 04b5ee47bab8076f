"""Cases that random schedules do not reach: clocks set back, lost replies, two configurations, two owners, slots."""

from dataclasses import replace
from typing import Any

import pytest
from redis import Redis, ResponseError

from tests.integration.ledger.conftest import INSTANCE, Clock, gate, wishes
from tests.people import ANN
from worker.ledger import Lane, Ledger, Settled
from worker.ledger.gate_control import GateKeeper
from worker.ledger.queries import Views

HOUR_MS = 3_600_000


def test_a_clock_set_back_an_hour_neither_stops_calls_nor_raises_the_rate(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(50))
    (first,) = claim().claims
    settle(first, "throttled", delay_seconds=1)
    clock.ms -= HOUR_MS
    ledger.record(wishes(50, minute=1))
    taken = 0
    for _ in range(100):
        clock.ms += 10
        taken += len(claim().claims)
    assert 15 <= taken <= 52


def test_a_reconciler_from_before_the_clock_was_set_back_loses_its_slot(ledger: Ledger, clock: Clock) -> None:
    ledger.pulse({}, worker="worker", slots=2)
    assert ledger.join_reconcilers("worker", "killed")
    clock.ms -= HOUR_MS
    ledger.pulse({}, worker="worker", slots=2)
    assert ledger.join_reconcilers("worker", "next")


def test_a_worker_keeps_one_slot_for_intake_and_a_reconciler_renews_its_slot(ledger: Ledger, clock: Clock) -> None:
    ledger.pulse({}, worker="worker", slots=3)
    assert [ledger.join_reconcilers("worker", owner) for owner in ("a", "b", "c")] == [1, 2, 0]
    clock.ms += 2000
    assert ledger.join_reconcilers("worker", "a")
    clock.ms += 2000
    assert [ledger.join_reconcilers("worker", owner) for owner in ("c", "d")] == [2, 0], "b fell silent, a did not"
    ledger.leave_reconcilers("worker", "a")
    assert ledger.join_reconcilers("worker", "d")


def test_a_settlement_sent_again_after_a_lost_reply_changes_nothing(
    ledger: Ledger, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(1))
    (only,) = claim().claims
    assert settle(only, "applied", code="applied") is Settled.APPLIED
    before = redis_client.hgetall("nightly:login:lgn_0"), redis_client.hgetall(f"nightly:tally:{INSTANCE}")
    assert settle(only, "applied", code="applied") is Settled.REPEATED
    assert before == (redis_client.hgetall("nightly:login:lgn_0"), redis_client.hgetall(f"nightly:tally:{INSTANCE}"))
    assert claim().state == "idle"


def test_an_owner_that_lost_its_claim_in_a_failover_settles_nothing(ledger: Ledger, claim: Any, settle: Any) -> None:
    ledger.record(wishes(1))
    (mine,) = claim(owner="b").claims
    assert settle(mine, "applied", owner="a") is Settled.FENCED
    assert settle(mine, "applied", owner="b") is Settled.OVERTAKEN, "the call of the other owner may have landed last"


def test_an_unproven_configuration_has_one_call_in_flight_until_one_is_confirmed(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(20))
    (first,) = claim(fingerprint="new").claims
    clock.ms += 1000
    assert claim(fingerprint="new").state == "canary"
    assert settle(first, "transient", fingerprint="new", delay_seconds=60) is Settled.WAITING
    (second,) = claim(fingerprint="new").claims
    assert settle(second, "applied", fingerprint="new") is Settled.APPLIED
    clock.ms += 1000
    assert len(claim(fingerprint="new", calls_per_second=1000).claims) > 1


def test_a_canary_whose_worker_died_is_replaced_when_its_lease_ends(ledger: Ledger, clock: Clock, claim: Any) -> None:
    ledger.record(wishes(5))
    assert len(claim(fingerprint="new").claims) == 1
    clock.ms += 14_000
    assert claim(fingerprint="new").state == "canary"
    clock.ms += 2_000
    assert len(claim(fingerprint="new").claims) == 1


def test_in_a_rolling_restart_the_old_key_stays_refused_and_the_new_one_works(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(20))
    (refused,) = claim(fingerprint="old").claims
    assert settle(refused, "halt", fingerprint="old", code="ACCESS_DENIED") is Settled.HALTED
    clock.ms += 2000
    assert claim(fingerprint="old").state == "closed"
    (canary,) = claim(fingerprint="new").claims
    assert settle(canary, "applied", fingerprint="new") is Settled.APPLIED
    assert redis_client.hget(f"nightly:gate:{INSTANCE}", "state") == b"open"
    clock.ms += 2000
    assert claim(fingerprint="old").state == "closed"
    assert claim(fingerprint="new").state == "claimed"


def test_a_host_that_cannot_be_found_halts_after_five_and_is_tried_once_a_minute(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(20))
    for _ in range(5):
        clock.ms += 1000
        (tried,) = claim(at_most=1).claims
        assert gate(ledger)["state"] == "open"
        settle(tried, "transient", code="name_not_found", flags="h", delay_seconds=1)
    assert (gate(ledger)["state"], gate(ledger)["cause"]) == ("closed", "halt")
    clock.ms += 59_000
    assert claim().state == "closed"
    clock.ms += 2_000
    (probe,) = claim().claims
    assert settle(probe, "applied") is Settled.APPLIED
    assert gate(ledger)["state"] == "open"
    clock.ms += 1_000
    assert claim().state == "claimed"


def test_the_longer_of_two_pauses_counts_and_opening_the_gate_ends_it(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(5))
    (first,) = claim(at_most=1).claims
    clock.ms += 1000
    (second,) = claim(at_most=1).claims
    settle(first, "throttled", retry_after_seconds=600, delay_seconds=600)
    settle(second, "throttled", retry_after_seconds=1, delay_seconds=1)
    clock.ms += 5_000
    assert claim().state == "paused"
    GateKeeper(redis_client).open(INSTANCE, by=ANN)
    redis_client.hset(f"nightly:configs:{INSTANCE}", "proven-one", "proven")
    assert claim().state == "claimed"


def test_a_throttled_volley_halves_the_rate_once_and_it_climbs_back(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(200))
    volley = []
    for _ in range(5):
        clock.ms += 20
        volley += claim().claims
    for one in volley:
        settle(one, "throttled", delay_seconds=0)
    assert len(volley) == 5

    def calls_in_two_seconds() -> int:
        taken = 0
        for _ in range(200):
            clock.ms += 10
            for one in claim().claims:
                settle(one, "applied")
                taken += 1
        return taken

    slow = calls_in_two_seconds()
    clock.ms += 20_000
    assert 50 <= slow <= 62
    assert 95 <= calls_in_two_seconds() <= 101


def test_every_tenth_call_is_for_the_backfill_lane_at_any_length_of_the_live_lane(
    ledger: Ledger, clock: Clock, claim: Any
) -> None:
    live = wishes(100)
    backfill = [replace(wish, reference=f"{wish.reference}-old", lane=Lane.BACKFILL) for wish in wishes(100)]
    ledger.record(backfill + live)
    taken = []
    for _ in range(50):
        clock.ms += 21
        taken += [one.reference.endswith("-old") for one in claim().claims]
    assert (len(taken), sum(taken)) == (50, 5)


def test_a_client_whose_primary_became_a_replica_looks_for_the_new_one(ledger: Ledger, redis_client: Redis) -> None:
    ledger.record(wishes(1))
    pool = redis_client.connection_pool
    redis_client.replicaof("127.0.0.1", "1")
    try:
        assert pool._available_connections
        with pytest.raises(ResponseError, match=r"READONLY|read only replica"):
            ledger.record(wishes(1, minute=1))
        assert all(connection._sock is None for connection in pool._available_connections)
    finally:
        redis_client.replicaof("NO", "ONE")
    assert ledger.record(wishes(1, minute=2)) == ["recorded"]


def test_failed_attempts_are_counted_from_the_first_and_start_again_with_a_newer_wish(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(1))
    seen = []
    for _ in range(3):
        (tried,) = claim().claims
        seen.append((tried.failures, tried.first_failure_ms and tried.first_failure_ms - 1_700_000_000_000))
        clock.ms += 500
        settle(tried, "transient", delay_seconds=0)
        clock.ms += 500
    assert seen == [(0, None), (1, 500), (2, 500)]
    ledger.record(wishes(1, minute=1))
    (newer,) = claim().claims
    assert (newer.failures, newer.first_failure_ms) == (0, None)


def test_a_volley_of_refused_calls_closes_the_gate_once(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(3))
    volley = []
    for _ in range(3):
        clock.ms += 50
        volley += claim().claims
    for refused in volley:
        assert settle(refused, "halt", code="ACCESS_DENIED") is Settled.HALTED
    changes = Views(redis_client).gate_changes(INSTANCE)
    assert [(change["state"], change["cause"], change["code"]) for change in changes] == [
        ("closed", "halt", "ACCESS_DENIED")
    ]
