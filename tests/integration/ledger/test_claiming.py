"""What a claim returns: which logins, how many, from which lane, and when to ask again."""

from dataclasses import replace
from typing import Any

import pytest
from redis import Redis

from tests.integration.ledger.conftest import INSTANCE, Clock, take_back, wishes
from worker.ledger import Lane, Ledger
from worker.ledger.queries import Views

LOGIN, RATE = "nightly:login:lgn_0", f"nightly:rate:{INSTANCE}"


def backfill(count: int) -> list[Any]:
    return [replace(wish, reference=f"{wish.reference}-old", lane=Lane.BACKFILL) for wish in wishes(count)]


# -- what is handed out ------------------------------------------------------------------------------------


@pytest.mark.parametrize("account", ["cust-42", None])
def test_a_claim_holds_what_the_call_needs_and_the_login_names_the_owner(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, account: str | None
) -> None:
    (wish,) = wishes(1, on=False)
    ledger.record([replace(wish, account_id=account)])
    reply = claim()
    (call,) = reply.claims
    assert (reply.state, reply.now_ms) == ("claimed", clock.ms)
    assert (call.reference, call.number, call.revision, call.wants_active) == ("lgn_0", clock.ms, 1, False)
    assert (call.sealed, call.failures, call.first_failure_ms, call.account_id) == (b"sealed", 0, None, account)
    assert call.event_id == wish.event_id
    assert redis_client.hmget(LOGIN, "s", "q", "k") == [b"flight", None, b"%d:1:0:0:0:h:owner" % clock.ms]
    found = Views(redis_client, now_ms=clock).login("lgn_0")
    assert found is not None
    assert (found["state"], found["due_at"], found["lease_until"]) == ("in_flight", None, clock.ms + 15_000)


def test_a_claim_deletes_the_mark_of_a_lost_lease(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any
) -> None:
    ledger.record(wishes(1))
    claim(settle_seconds=1)
    clock.ms += 15_001
    take_back(ledger)
    clock.ms += 1000
    (again,) = claim().claims
    assert again.number == clock.ms
    assert redis_client.hmget(LOGIN, "g", "h", "k") == [None, None, b"%d:1:1:0:0:-:owner" % clock.ms]


def test_a_deleted_login_is_not_claimed(ledger: Ledger, redis_client: Redis, claim: Any) -> None:
    ledger.record(wishes(1))
    redis_client.delete(LOGIN)
    reply = claim()
    assert (reply.state, reply.wait_seconds) == ("idle", None)
    assert not redis_client.exists(LOGIN, f"nightly:leases:{INSTANCE}", f"nightly:due:{INSTANCE}:live", RATE)


def test_a_login_recreated_in_the_other_lane_is_claimed_once(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any
) -> None:
    ledger.record([replace(wish, lane=Lane.BACKFILL) for wish in wishes(1)])
    redis_client.delete(LOGIN)
    ledger.record(wishes(1, minute=1))
    calls = claim(calls_per_second=1000).claims
    clock.ms += 100
    assert len(calls + claim(calls_per_second=1000).claims) == 1


def test_a_deleted_login_does_not_delay_those_behind_it(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any
) -> None:
    clock.ms += 700
    ledger.record(wishes(1))
    clock.ms -= 700
    redis_client.zadd(f"nightly:due:{INSTANCE}:live", {"lgn_gone": clock.ms})
    reply = claim()
    assert (reply.state, reply.wait_seconds) == ("idle", 0.7)


# -- when to ask again -------------------------------------------------------------------------------------


@pytest.mark.parametrize("lane", list(Lane))
def test_a_claim_says_when_the_next_login_falls_due(ledger: Ledger, clock: Clock, claim: Any, lane: Lane) -> None:
    assert claim().wait_seconds is None
    clock.ms += 700
    ledger.record([replace(wish, lane=lane) for wish in wishes(1)])
    clock.ms += 100
    ledger.record([replace(backfill(1)[0], lane=Lane.LIVE if lane == Lane.BACKFILL else Lane.BACKFILL)])
    clock.ms -= 800
    reply = claim()
    assert (reply.state, reply.wait_seconds) == ("idle", 0.7)


def test_at_the_in_flight_limit_ask_again_in_25_ms_and_at_the_rate_limit_when_the_next_call_may_go(
    ledger: Ledger, clock: Clock, claim: Any
) -> None:
    ledger.record(wishes(5))
    assert len(claim(at_most=5, calls_per_second=1000, max_in_flight=2).claims) == 2
    clock.ms += 1000
    full = claim(calls_per_second=1000, max_in_flight=2)
    assert (full.state, full.wait_seconds) == ("busy", 0.025)
    assert len(claim(at_most=1, calls_per_second=1).claims) == 1
    waits = []
    while not (reply := claim(at_most=1, calls_per_second=1)).claims:
        assert reply.state == "busy"
        waits.append(reply.wait_seconds)
        clock.ms += round(reply.wait_seconds * 1000)
    assert len(waits) == 1, "it is claimed exactly when it is due"
    assert 0.9 < waits[0] <= 1.03


@pytest.mark.parametrize(("asked", "free", "taken"), [(3, 10, 3), (10, 3, 3), (10, 0, 0)])
def test_a_claim_keeps_to_the_asked_number_and_the_in_flight_limit(
    ledger: Ledger, redis_client: Redis, claim: Any, asked: int, free: int, taken: int
) -> None:
    ledger.record(wishes(20))
    redis_client.zadd(f"nightly:leases:{INSTANCE}", {"lgn_other": 9e15, "lgn_third": 9e15})
    reply = claim(at_most=asked, calls_per_second=1000, max_in_flight=2 + free)
    assert len(reply.claims) == taken
    assert redis_client.zcard(f"nightly:leases:{INSTANCE}") == 2 + taken


def test_a_busy_claim_waits_for_logins_that_are_due_even_later(ledger: Ledger, clock: Clock, claim: Any) -> None:
    ledger.record(wishes(1))
    claim()
    clock.ms += 700
    ledger.record(wishes(2))
    clock.ms -= 700
    assert (claim().state, claim().wait_seconds) == ("busy", 0.7)
    clock.ms += 1000
    assert (claim(max_in_flight=1).state, claim(max_in_flight=1).wait_seconds) == ("busy", 0.025)


# -- lanes -------------------------------------------------------------------------------------------------


def test_each_lane_uses_turns_that_the_other_leaves(ledger: Ledger, claim: Any) -> None:
    ledger.record(backfill(2) + wishes(1))
    first = [call.reference for call in claim(calls_per_second=1000).claims]
    assert first == ["lgn_0", "lgn_0-old", "lgn_1-old"]


def test_every_tenth_call_is_for_the_backfill_lane_within_one_claim_too(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any
) -> None:
    ledger.record(backfill(3) + wishes(30))
    taken = [call.reference.endswith("-old") for call in claim(at_most=19, calls_per_second=1000).claims]
    assert [at for at, is_old in enumerate(taken, 1) if is_old] == [10]
    assert redis_client.hmget(RATE, "turn", "ceiling") == [b"9", b"1000"]
    clock.ms += 1000
    taken = [call.reference.endswith("-old") for call in claim(at_most=12, calls_per_second=1000).claims]
    assert [at for at, is_old in enumerate(taken, 1) if is_old] == [1, 11]


# -- the one call that tries -------------------------------------------------------------------------------


@pytest.mark.parametrize("spot", ["d", "u"])
@pytest.mark.parametrize(("spotted", "tries"), [(0, "lgn_00"), (1, "lgn_01"), (19, "lgn_19"), (20, "lgn_00")])
def test_a_canary_prefers_a_login_without_failures_among_the_first_twenty(
    ledger: Ledger, redis_client: Redis, claim: Any, spot: str, spotted: int, tries: str
) -> None:
    ledger.record([replace(wish, reference=f"lgn_{at:02}") for at, wish in enumerate(wishes(25))])
    for at in range(spotted):
        redis_client.hset(f"nightly:login:lgn_{at:02}", spot, "1:1:1")
    assert [call.reference for call in claim(fingerprint="new").claims] == [tries]


def test_a_proven_configuration_claims_logins_with_failures_too(
    ledger: Ledger, redis_client: Redis, claim: Any
) -> None:
    ledger.record(wishes(2))
    redis_client.hset(LOGIN, "d", "1:1:1")
    assert [call.reference for call in claim(at_most=1).claims] == ["lgn_0"]


def test_a_claim_number_grows_even_after_the_clock_was_set_back(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any
) -> None:
    ledger.record(wishes(1))
    redis_client.hset(LOGIN, "k", clock.ms)
    assert claim().claims[0].number == clock.ms + 1
