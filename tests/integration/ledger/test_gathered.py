"""Sorted sets and tally are written once a script, for many logins and after an error midway, too.

A user of Redis that may not use the key of one login stands for every command that Redis may refuse.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis, ResponseError

from tests.integration.ledger.conftest import INSTANCE, Clock, claim_from, settle_together, tally, wishes
from worker.ledger import Ledger, Settled
from worker.redis_client.connect import connect

DUE, LEASES = f"nightly:due:{INSTANCE}:live", f"nightly:leases:{INSTANCE}"
ALL_BUT_LGN_1 = ("~nightly:[^l]*", "~nightly:l[^o]*", "~nightly:login:lgn_[^1]")
FAST = {"at_most": 5000, "calls_per_second": 1_000_000, "max_in_flight": 5000}


@pytest.fixture
def limited(redis_client: Redis, clock: Clock) -> Iterator[Ledger]:
    """The ledger as a user sees it that may not use the key of lgn_1."""
    redis_client.execute_command("ACL", "SETUSER", "limited", "on", ">word", "+@all", *ALL_BUT_LGN_1)
    path = redis_client.get_connection_kwargs()["path"]
    with connect(f"unix://limited:word@{path}", name="test") as client:
        yield Ledger(client, now_ms=clock)
    redis_client.execute_command("ACL", "DELUSER", "limited")


def test_more_logins_than_one_command_takes_are_moved_in_one_script(
    ledger: Ledger, redis_client: Redis, claim: Any
) -> None:
    ledger.record(wishes(5000))
    calls = claim(**FAST).claims
    assert (len(calls), redis_client.zcard(LEASES), redis_client.zcard(DUE)) == (5000, 5000, 0)
    assert settle_together(ledger, *((call, "applied", {}) for call in calls)) == [Settled.APPLIED] * 5000
    assert (redis_client.zcard(LEASES), tally(ledger, "applied_on"), tally(ledger, "calls")) == (0, 5000, 5000)


def test_events_recorded_before_a_script_failed_are_due_and_counted(
    limited: Ledger, clock: Clock, redis_client: Redis
) -> None:
    with pytest.raises(ResponseError, match="access"):
        limited.record(wishes(3))
    assert redis_client.zrange(DUE, 0, -1, withscores=True) == [(b"lgn_0", clock.ms)]
    assert tally(limited, "recorded") == 1


def test_logins_claimed_before_a_script_failed_have_leases_and_are_not_due(
    ledger: Ledger, limited: Ledger, clock: Clock, redis_client: Redis
) -> None:
    ledger.record(wishes(3))
    with pytest.raises(ResponseError, match="access"):
        claim_from(limited, **FAST)
    assert redis_client.zrange(LEASES, 0, -1, withscores=True) == [(b"lgn_0", clock.ms + 15_000)]
    assert redis_client.zrange(DUE, 0, -1) == [b"lgn_1", b"lgn_2"]


def test_calls_settled_before_a_script_failed_have_no_lease_and_are_counted(
    ledger: Ledger, limited: Ledger, redis_client: Redis, claim: Any
) -> None:
    ledger.record(wishes(3))
    calls = claim(**FAST).claims
    with pytest.raises(ResponseError, match="access"):
        settle_together(limited, *((call, "applied", {"flags": "u"}) for call in calls))
    assert redis_client.zrange(LEASES, 0, -1) == [b"lgn_1", b"lgn_2"]
    assert tally(ledger, "applied_on") == 1
