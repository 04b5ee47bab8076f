"""Claims from a lane that is full of logins which the caller cannot open."""

from typing import Any

import pytest
from redis import Redis

from tests.integration.ledger.conftest import INSTANCE
from tests.integration.ledger.test_keys import NEW, OLD, lives, sealed, taken
from worker.ledger import Lane, Ledger


@pytest.mark.parametrize(("full", "other", "turn"), [(Lane.LIVE, Lane.BACKFILL, 0), (Lane.BACKFILL, Lane.LIVE, 9)])
def test_a_lane_full_of_logins_that_a_worker_cannot_open_does_not_delay_the_other_lane(
    ledger: Ledger, redis_client: Redis, claim: Any, full: Lane, other: Lane, turn: int
) -> None:
    lives(ledger, "b", NEW)
    ledger.record(sealed(NEW, *(f"{number:04}" for number in range(5000)), lane=full))
    ledger.record(sealed(OLD, "own", lane=other))
    redis_client.hset(f"nightly:rate:{INSTANCE}", "turn", turn)
    assert taken(claim(key_ids=OLD.key_ids)) == ["own"]
