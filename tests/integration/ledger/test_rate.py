"""The rate of claims: the ceiling, the token bucket, cut rates that climb back, and pauses."""

from itertools import pairwise
from typing import Any

import pytest
from redis import Redis

from tests.integration.ledger.conftest import INSTANCE, Clock, wishes
from worker.ledger import Ledger

LOGIN, RATE = "nightly:login:lgn_0", f"nightly:rate:{INSTANCE}"


def test_the_rate_is_three_percent_below_the_ceiling(ledger: Ledger, clock: Clock, claim: Any) -> None:
    ledger.record(wishes(30))
    taken = []
    for _ in range(1100):
        taken += [clock.ms] * len(claim(calls_per_second=10).claims)
        clock.ms += 1
    gaps = [second - first for first, second in pairwise(taken)]
    assert set(gaps[1:]) <= {103}
    assert 83 <= gaps[0] <= 103, "20 ms early at most"


def test_a_late_claim_catches_up_by_twenty_ms_of_calls(ledger: Ledger, clock: Clock, claim: Any) -> None:
    ledger.record(wishes(100))
    for rate, taken in ((1000, 19), (1000, 19), (50, 1), (100, 1), (200, 3)):
        clock.ms += 60_000
        assert len(claim(at_most=50, calls_per_second=rate).claims) == taken


def test_a_bucket_full_in_more_than_five_seconds_is_ignored_as_the_clock_was_set_back(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any
) -> None:
    ledger.record(wishes(1))
    redis_client.hset(RATE, "tat", clock.ms + 5038)
    assert claim(calls_per_second=50).state == "busy"
    redis_client.hset(RATE, "tat", clock.ms + 5039)
    assert claim(calls_per_second=50).state == "claimed"


def test_a_pause_lasts_as_long_as_flinks_asked_and_an_hour_at_most(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(3))
    (first,) = claim(at_most=1).claims
    settle(first, "throttled", retry_after_seconds=90, delay_seconds=90)
    clock.ms += 1000
    reply = claim()
    assert (reply.state, reply.wait_seconds) == ("paused", 89)
    clock.ms += 88_999
    assert claim().state == "paused"
    clock.ms += 1
    assert claim().state == "claimed"


def test_a_pause_from_before_the_clock_was_set_back_is_an_hour_at_most(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any
) -> None:
    ledger.record(wishes(1))
    redis_client.hset(RATE, "paused_until", clock.ms + 86_400_000)
    assert claim().wait_seconds == 3600


@pytest.mark.parametrize(
    ("rate", "after_seconds", "speed"), [(10, 0, 10), (10, 4, 20), (10, 60, 50), (1, 1, 3.5), (1, 0, 1)]
)
def test_a_cut_rate_climbs_by_five_percent_of_the_ceiling_each_second(
    ledger: Ledger,
    clock: Clock,
    redis_client: Redis,
    claim: Any,
    settle: Any,
    rate: int,
    after_seconds: int,
    speed: float,
) -> None:
    ledger.record(wishes(1))
    redis_client.hset(RATE, mapping={"rate": rate, "changed_at": clock.ms})
    clock.ms += after_seconds * 1000
    settle(claim().claims[0], "throttled")
    assert float(redis_client.hget(RATE, "rate")) == max(1, speed / 2)
    assert redis_client.hmget(RATE, "changed_at", "cut_at") == [str(clock.ms).encode()] * 2


def test_a_rate_is_cut_again_after_a_second_and_not_before(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(9))
    calls = claim(calls_per_second=1000).claims
    rates = []
    for call, later_ms in zip(calls, (0, 999, 1), strict=False):
        clock.ms += later_ms
        settle(call, "throttled", delay_seconds=60)
        rates.append(float(redis_client.hget(RATE, "rate")))
    assert rates == [25, 25, 13.75]
