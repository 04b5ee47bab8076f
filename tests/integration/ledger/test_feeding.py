"""How rows are fed: each once, as many as the lane takes, backfills in turn, and only while calls may be made."""

import pytest
from redis import Redis
from structlog.testing import capture_logs

from tests.integration.ledger.conftest import (
    FINGERPRINTS,
    INSTANCE,
    Clock,
    Start,
    outcomes,
    tally,
)
from tests.people import ANN
from worker.backfill.feeder import Feeder, RowCursor
from worker.backfill.models import Row, RowOutcome
from worker.backfill.store import Backfills
from worker.errors import LedgerMismatch
from worker.ledger import Ledger
from worker.ledger.gate_control import GateKeeper
from worker.vault.vault import Vault

APPLIED, WAITING, DUPLICATE = RowOutcome.APPLIED, RowOutcome.WAITING, RowOutcome.DUPLICATE


def test_of_two_feeders_at_the_same_cursor_only_one_feeds(
    backfills: Backfills, vault: Vault, start: Start, ledger: Ledger
) -> None:
    backfill_id = start([f"login-{at}" for at in range(30)])
    first, second = (Feeder(backfills, vault, FINGERPRINTS) for _ in range(2))
    seen = [RowCursor(each, backfills.get(backfill_id)) for each in (first, second)]
    assert [each.hand_over(5) for each in seen] == [True, False]
    assert (backfills.get(backfill_id).fed, tally(ledger, "recorded")) == (5, 5)


@pytest.mark.parametrize(
    ("before", "first", "why"), [("pause", 0, "paused"), ("cancel", 0, "cancelled"), ("", 1, "moved")]
)
def test_a_late_feeder_feeds_nothing(
    backfills: Backfills, start: Start, ledger: Ledger, before: str, first: int, why: str
) -> None:
    backfill_id = start(["one"])
    if before:
        getattr(backfills, before)(backfill_id, by=ANN)
    assert backfills.feed(backfill_id, first, ["lgn_1", b"sealed", ""], fingerprint="proven-one") == (why, 0, 0)
    assert backfills.feed("bf-nobody", 0, ["lgn_1", b"sealed", ""], fingerprint="proven-one") == ("unknown", 0, 0)
    assert (tally(ledger, "recorded"), outcomes(backfills, backfill_id)[0] is APPLIED) == (0, False)


def test_nothing_is_fed_into_a_ledger_of_a_newer_schema(
    backfills: Backfills, start: Start, redis_client: Redis
) -> None:
    backfill_id = start(["one"])
    redis_client.hset("nightly:meta", "schema", 99)
    for act in (
        lambda: backfills.feed(backfill_id, 0, ["lgn_1", b"sealed", ""], fingerprint="proven-one"),
        lambda: backfills.pause(backfill_id, by=ANN),
        lambda: backfills.put_chunk(backfill_id, 0, [], ""),
        lambda: backfills.commit(backfill_id, "d", by=ANN),
    ):
        with pytest.raises(LedgerMismatch):
            act()


def test_a_feeder_continues_across_chunks_after_a_killed_one(
    backfills: Backfills, vault: Vault, feeder: Feeder, start: Start, ledger: Ledger
) -> None:
    backfill_id = start(["same"] * 1100)  # all but one end without a call, so none fills the lane
    RowCursor(Feeder(backfills, vault, FINGERPRINTS), backfills.get(backfill_id)).hand_over(499)
    assert feeder.feed() == 601
    assert outcomes(backfills, backfill_id) == [WAITING, *[DUPLICATE] * 1099]
    assert ledger.redis.strlen(f"nightly:backfill:{backfill_id}:rows") == 6 * 1100


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


def test_a_pulse_asks_for_rows_once_a_second_while_rows_are_left_and_calls_may_be_made(
    backfills: Backfills, start: Start, ledger: Ledger, clock: Clock, redis_client: Redis
) -> None:
    def asks(instance: str = INSTANCE, slots: int = 2) -> bool:
        return ledger.pulse({instance: "proven-one"}, worker="w", slots=slots).should_feed

    assert not asks()
    backfill_id = start(["one"])
    assert not asks("acme")
    assert not asks(slots=0), "a pulse without slots"
    assert (asks(), asks()) == (True, False)
    redis_client.delete("nightly:feed-hint")
    backfills.pause(backfill_id, by=ANN)
    assert not asks()
    backfills.resume(backfill_id, by=ANN)
    GateKeeper(redis_client, now_ms=clock).close(INSTANCE, by=ANN, reason="because")
    assert not asks()


def test_an_account_id_that_is_the_loginid_is_masked(
    backfills: Backfills, feeder: Feeder, redis_client: Redis, vault: Vault, clock: Clock
) -> None:
    backfill = backfills.create(instance=INSTANCE, wish="on", as_of_us=clock.ms * 1000)
    backfills.put_chunk(backfill.id, 0, [Row(2, "se-cret", "SECRET"), Row(3, "other", "cust-1")], "")
    backfills.commit(backfill.id, "d", by=ANN)
    feeder.feed()
    accounts = [
        redis_client.hget(f"nightly:login:{vault.reference(INSTANCE, one)}", "a") for one in ("se-cret", "other")
    ]
    assert accounts[0].startswith(b"masked-")
    assert accounts[1] == b"cust-1"
    stored = b" ".join(redis_client.dump(key) for key in redis_client.keys("*")).lower()
    assert b"se-cret" not in stored


def without_the_key(ledger: Ledger, clock: Clock) -> Feeder:
    other = Vault([bytes(32)])
    return Feeder(Backfills(ledger.redis, other, now_ms=clock), other, FINGERPRINTS)


def test_a_feeder_that_lacks_the_key_of_a_backfill_leaves_it_to_one_that_has_it(
    backfills: Backfills, feeder: Feeder, start: Start, ledger: Ledger, clock: Clock
) -> None:
    backfill_id = start(["one", "two"])
    lacking = without_the_key(ledger, clock)
    ledger.pulse({}, worker="b", slots=2, about={"keys": feeder._vault.key_ids})
    with capture_logs() as lines:
        assert lacking.feed() == 0
    assert lines == []
    assert lacking.leaves_rows_to_others
    assert not ledger.redis.exists("nightly:missing-keys")
    assert outcomes(backfills, backfill_id) == [WAITING, WAITING]
    assert feeder.feed() == 2
    assert not feeder.leaves_rows_to_others


def test_a_missing_key_of_a_backfill_gives_notice_after_a_minute(
    vault: Vault, start: Start, ledger: Ledger, clock: Clock
) -> None:
    start(["one"])
    lacking, told = without_the_key(ledger, clock), []
    for _ in range(2):
        assert lacking.feed() == 0
        assert not lacking.leaves_rows_to_others, "no worker can open it, so the message is not passed on"
        told.append([each.parts for each in ledger.pulse({}, worker="a", slots=2).notices if each.kind == "key"])
        clock.ms += 60_000
    assert told == [[], [[vault.key_ids[0], str(clock.ms - 120_000)]]]
