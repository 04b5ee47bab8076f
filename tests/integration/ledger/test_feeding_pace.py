"""How many rows are fed at a time: as many as the lane takes and the backfill's own rate allows, backfills in turn."""

from redis import Redis

from tests.integration.ledger.conftest import INSTANCE, Clock, Start
from tests.people import ANN
from worker.backfill.feeder import Feeder
from worker.backfill.store import Backfills
from worker.ledger import Ledger
from worker.ledger.gate_control import GateKeeper


def test_the_lane_begins_at_once_and_holds_two_seconds_of_its_actual_pace(
    feeder: Feeder, start: Start, ledger: Ledger, clock: Clock, redis_client: Redis
) -> None:
    rate, lane = f"nightly:rate:{INSTANCE}", f"nightly:due:{INSTANCE}:backfill"
    redis_client.hset(rate, "ceiling", 50)
    start([f"login-{at}" for at in range(900)])
    assert (feeder.feed(), feeder.feed()) == (100, 0), "two seconds of the ceiling"
    assert ledger.pulse({INSTANCE: "proven-one"}, worker="w", slots=2).should_feed is False
    for _ in range(3):  # Flinks, or live events, leave it twenty calls a second
        redis_client.hincrby(rate, "lane_calls", 20)
        redis_client.zpopmin(lane, 20)
        clock.ms += 1000
        feeder.feed()
    assert redis_client.zcard(lane) == 40
    fed = []
    for _ in range(3):  # every call is claimed at once
        redis_client.hincrby(rate, "lane_calls", redis_client.zcard(lane))
        redis_client.delete(lane)
        clock.ms += 1000
        fed.append(feeder.feed())
    assert fed == [80, 100, 100], "never more than two seconds of the ceiling"


def test_the_lane_begins_with_a_thousand_rows_at_most_while_its_pace_is_unknown(
    feeder: Feeder, start: Start, redis_client: Redis
) -> None:
    redis_client.hset(f"nightly:rate:{INSTANCE}", "ceiling", 100_000)
    start([f"login-{at}" for at in range(1_200)])
    assert feeder.feed() == 1_000


def test_the_lane_keeps_its_pace_until_the_next_backfill(
    feeder: Feeder, start: Start, clock: Clock, redis_client: Redis
) -> None:
    rate, lane = f"nightly:rate:{INSTANCE}", f"nightly:due:{INSTANCE}:backfill"
    lane_at = clock.ms - 11_000
    redis_client.hset(rate, mapping={"ceiling": 100_000, "lane_limit": 1_500, "lane_at": lane_at})
    start([f"first-{at}" for at in range(10)])
    assert feeder.feed() == 10
    redis_client.hincrby(rate, "lane_calls", 10)
    redis_client.delete(lane)
    clock.ms += 1_000
    start([f"second-{at}" for at in range(1_600)])
    assert feeder.feed() == 1_500, "ten rows say nothing about the pace"


def test_waiting_retries_delay_rows_only_when_they_are_many(
    feeder: Feeder, start: Start, clock: Clock, redis_client: Redis
) -> None:
    start([f"login-{at}" for at in range(300)])
    lane = f"nightly:due:{INSTANCE}:backfill"
    redis_client.zadd(lane, {f"lgn_{at}": clock.ms + 60_000 for at in range(990)})
    assert feeder.feed() == 10
    redis_client.delete(lane)
    redis_client.zadd(lane, {f"lgn_{at}": clock.ms + 60_000 for at in range(100)})
    assert feeder.feed() == 16


def test_two_backfills_share_the_room_and_each_uses_what_the_other_leaves(
    backfills: Backfills, feeder: Feeder, start: Start, redis_client: Redis, clock: Clock
) -> None:
    redis_client.hset(f"nightly:rate:{INSTANCE}", mapping={"ceiling": 50, "lane_limit": 100, "lane_at": clock.ms})
    large = start([f"large-{at}" for at in range(600)])
    other = start([f"other-{at}" for at in range(600)])
    assert feeder.feed() == 100
    assert (backfills.get(large).fed, backfills.get(other).fed) == (50, 50)
    redis_client.delete(f"nightly:due:{INSTANCE}:backfill")
    backfills.cancel(other, by=ANN)
    small = start([f"small-{at}" for at in range(3)])
    assert feeder.feed() == 100
    assert (backfills.get(large).fed, backfills.get(small).fed) == (147, 3)


def test_instances_have_separate_lanes_and_a_shut_gate_takes_no_rows(
    backfills: Backfills, feeder: Feeder, start: Start, redis_client: Redis, clock: Clock
) -> None:
    GateKeeper(redis_client, now_ms=clock).close(INSTANCE, by=ANN, reason="because")
    here, there = start(["one"]), start(["one"], instance="acme")
    assert feeder.feed() == 1
    assert (backfills.get(here).fed, backfills.get(there).fed) == (0, 1)
    GateKeeper(redis_client, now_ms=clock).open(INSTANCE, by=ANN)
    assert feeder.feed() == 1


def test_a_backfill_keeps_to_its_own_rate(feeder: Feeder, start: Start, clock: Clock) -> None:
    start([f"login-{at}" for at in range(300)], rate=2)
    assert feeder.feed() == 4, "two seconds of it at once"
    handed_over = 0
    for _ in range(10):
        clock.ms += 500
        handed_over += feeder.feed()
    assert handed_over == 10


def test_a_rate_below_one_a_second_still_moves(feeder: Feeder, start: Start, clock: Clock) -> None:
    start(["one", "two", "three"], rate=0.1)
    fed = []
    for _ in range(3):
        fed.append(feeder.feed())
        clock.ms += 5_000
    assert fed == [1, 0, 1]


def test_a_backfill_keeps_to_its_own_rate_after_the_clock_was_set_back(
    feeder: Feeder, start: Start, clock: Clock
) -> None:
    start([f"login-{at}" for at in range(9)], rate=2)
    assert feeder.feed() == 4
    clock.ms -= 3_600_000
    assert [feeder.feed(), feeder.feed()] == [4, 0]


def test_nothing_is_fed_in_quiet_hours(
    feeder: Feeder, start: Start, clock: Clock, redis_client: Redis, ledger: Ledger
) -> None:
    start(["one"], quiet="22:00-23:00", timezone="UTC")  # the clock shows 22:13
    assert feeder.feed() == 0
    assert redis_client.pttl("nightly:feed-hint") > 1000, "no pulse asks for rows meanwhile"
    assert not ledger.pulse({INSTANCE: "proven-one"}, worker="w", slots=2).should_feed
    clock.ms += 3_600_000
    assert feeder.feed() == 1
