"""Sorted sets and tally are written once a script, for all its logins: also for many, and where it stops midway."""

from typing import Any

import pytest
from redis import Redis, ResponseError

from tests.integration.ledger.conftest import INSTANCE, Clock, settle_together, tally, wishes
from worker.ledger import Ledger, Settled

DUE, LEASES = f"nightly:due:{INSTANCE}:live", f"nightly:leases:{INSTANCE}"
BROKEN = "nightly:login:lgn_1"
FAST = {"at_most": 5000, "calls_per_second": 1_000_000, "max_in_flight": 5000}


def test_more_logins_than_lua_hands_to_one_command_are_moved_at_once(
    ledger: Ledger, redis_client: Redis, claim: Any
) -> None:
    ledger.record(wishes(5000))
    calls = claim(**FAST).claims
    assert (len(calls), redis_client.zcard(LEASES), redis_client.zcard(DUE)) == (5000, 5000, 0)
    assert settle_together(ledger, *((call, "applied", {}) for call in calls)) == [Settled.APPLIED] * 5000
    assert (redis_client.zcard(LEASES), tally(ledger, "applied_on"), tally(ledger, "calls")) == (0, 5000, 5000)


def test_what_was_recorded_before_redis_refused_something_is_due_and_counted(
    ledger: Ledger, clock: Clock, redis_client: Redis
) -> None:
    redis_client.set(BROKEN, "not a hash")
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        ledger.record(wishes(3))
    assert redis_client.zrange(DUE, 0, -1, withscores=True) == [(b"lgn_0", clock.ms)]
    assert tally(ledger, "recorded") == 1


def test_what_was_claimed_before_redis_refused_something_has_its_lease_and_is_due_no_more(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any
) -> None:
    ledger.record(wishes(3))
    redis_client.set(BROKEN, "not a hash")
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        claim(**FAST)
    assert redis_client.zrange(LEASES, 0, -1, withscores=True) == [(b"lgn_0", clock.ms + 15_000)]
    assert redis_client.zrange(DUE, 0, -1) == [b"lgn_2"], "and what is broken stands in nobody's way"


def test_what_was_settled_before_redis_refused_something_has_no_lease_and_is_counted(
    ledger: Ledger, redis_client: Redis, claim: Any
) -> None:
    ledger.record(wishes(3))
    calls = claim(**FAST).claims
    redis_client.set(BROKEN, "not a hash")
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        settle_together(ledger, *((call, "applied", {}) for call in calls))
    assert redis_client.zrange(LEASES, 0, -1) == [b"lgn_1", b"lgn_2"]
    assert tally(ledger, "applied_on") == 1
