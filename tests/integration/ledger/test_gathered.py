"""Sorted sets and tally are written once a script, for many logins and after an error midway, too.

A login that a person damaged, so that its script fails, stands for every command that Redis may refuse.
"""

from typing import Any

import pytest
from redis import Redis, ResponseError

from tests.integration.ledger.conftest import INSTANCE, Clock, settle_together, tally, wishes
from worker.ledger import Ledger, Settled

DUE, LEASES = f"nightly:due:{INSTANCE}:live", f"nightly:leases:{INSTANCE}"
BROKEN = "nightly:login:lgn_1"
FAST = {"at_most": 5000, "calls_per_second": 1_000_000, "max_in_flight": 5000}


def test_more_logins_than_one_command_takes_are_moved_in_one_script(
    ledger: Ledger, redis_client: Redis, claim: Any
) -> None:
    ledger.record(wishes(5000))
    calls = claim(**FAST).claims
    assert (len(calls), redis_client.zcard(LEASES), redis_client.zcard(DUE)) == (5000, 5000, 0)
    assert settle_together(ledger, *((call, "applied", {}) for call in calls)) == [Settled.APPLIED] * 5000
    assert (redis_client.zcard(LEASES), tally(ledger, "applied_on"), tally(ledger, "calls")) == (0, 5000, 5000)


def test_events_recorded_before_a_script_failed_are_due_and_counted(
    ledger: Ledger, clock: Clock, redis_client: Redis
) -> None:
    redis_client.hset(BROKEN, mapping={"w": f"1:1:1:{INSTANCE}", "s": "flight"})
    with pytest.raises(ResponseError, match="claim"):
        ledger.record(wishes(3))
    assert redis_client.zrange(DUE, 0, -1, withscores=True) == [(b"lgn_0", clock.ms)]
    assert tally(ledger, "recorded") == 2


def test_logins_claimed_before_a_script_failed_have_leases_and_are_not_due(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any
) -> None:
    ledger.record(wishes(3))
    redis_client.hset(BROKEN, "w", "damaged")
    with pytest.raises(ResponseError, match="wish"):
        claim(**FAST)
    assert redis_client.zrange(LEASES, 0, -1, withscores=True) == [(b"lgn_0", clock.ms + 15_000)]
    assert redis_client.zrange(DUE, 0, -1) == [b"lgn_2"], "and the broken login does not block others"


def test_calls_settled_before_a_script_failed_have_no_lease_and_are_counted(
    ledger: Ledger, redis_client: Redis, claim: Any
) -> None:
    ledger.record(wishes(3))
    calls = claim(**FAST).claims
    redis_client.hset(BROKEN, "m", "x")
    with pytest.raises(ResponseError, match="number expected"):
        settle_together(ledger, *((call, "applied", {"flags": "u"}) for call in calls))
    assert redis_client.zrange(LEASES, 0, -1) == [b"lgn_1", b"lgn_2"]
    assert tally(ledger, "applied_on") == 2
