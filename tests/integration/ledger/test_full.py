"""A full Redis: the ledger still claims, refuses everything else completely, and loses nothing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis, ResponseError

from sandbox.stack import EmbeddedRedis, OrphanGuard
from tests import ledger_calls
from tests.integration.ledger.conftest import INSTANCE, wishes
from worker.ledger import Ledger, Settled, Settlement

DUE, LEASES = f"nightly:due:{INSTANCE}:live", f"nightly:leases:{INSTANCE}"
FAST = {"at_most": 2, "calls_per_second": 1_000_000, "max_in_flight": 5000}


@pytest.fixture
def own_redis(tmp_path: Path, orphan_guard: OrphanGuard) -> Iterator[Redis]:
    with (
        EmbeddedRedis(tmp_path, name="own", guard=orphan_guard, takes_config=True) as server,
        Redis.from_url(server.url) as client,
    ):
        yield client


def test_a_full_redis_still_claims_loses_no_login_and_settles_once_it_has_room(own_redis: Redis) -> None:
    ledger = Ledger(own_redis)
    own_redis.hset(f"nightly:configs:{INSTANCE}", "proven-one", "proven")
    ledger.record(wishes(3))
    own_redis.config_set("maxmemory", 1)
    terms: dict[str, Any] = {"owner": "owner", "worker": "worker", "fingerprint": "proven-one"}
    calls = ledger_calls.claim(ledger, INSTANCE, lease_seconds=15, settle_seconds=20, **terms, **FAST).claims
    settlements = [Settlement(call, "applied", code="applied") for call in calls]
    with pytest.raises(ResponseError, match="used memory > 'maxmemory'"):
        ledger.record(wishes(3, minute=1))
    with pytest.raises(ResponseError, match="used memory > 'maxmemory'"):
        ledger_calls.settle(ledger, INSTANCE, settlements, calls_per_second=50, **terms)
    assert (len(calls), own_redis.zcard(DUE), own_redis.zcard(LEASES)) == (2, 1, 2)
    assert own_redis.hgetall(f"nightly:tally:{INSTANCE}") == {b"recorded": b"3"}
    own_redis.config_set("maxmemory", 0)
    assert ledger_calls.settle(ledger, INSTANCE, settlements, calls_per_second=50, **terms) == [Settled.APPLIED] * 2
