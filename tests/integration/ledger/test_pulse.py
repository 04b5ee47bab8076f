"""What a pulse returns: due logins, live workers, whether another reconciler is wanted, notices."""

from dataclasses import replace
from typing import Any

import pytest
from redis import Redis

from tests.integration.ledger.conftest import INSTANCE, Clock, wishes
from tests.people import ANN
from worker.ledger import Lane, Ledger, Pulse
from worker.ledger.gate_control import GateKeeper
from worker.ledger.queries import Views

MINE = {INSTANCE: "proven-one"}


def hint_is_gone(client: Redis) -> None:
    """Delete the hint, which expires after a second of Redis' own clock."""
    client.delete("nightly:hint")


# -- whether a reconciler is wanted -------------------------------------------------------------------------------


def test_due_logins_of_both_lanes_are_counted_and_waiting_ones_are_not(ledger: Ledger, clock: Clock) -> None:
    ledger.record([replace(wish, lane=Lane.BACKFILL) for wish in wishes(2)] + wishes(5)[2:])
    assert ledger.pulse(MINE).due == 5
    assert ledger.pulse({}).due == 0
    clock.ms -= 1
    assert ledger.pulse(MINE).due == 0


@pytest.mark.parametrize("shut", ["closed", "canary", "paused"])
def test_logins_that_may_not_be_called_ask_for_no_reconciler(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, shut: str
) -> None:
    ledger.record(wishes(2))
    fingerprint = "new" if shut == "canary" else "proven-one"
    if shut == "closed":
        GateKeeper(redis_client, now_ms=clock).close(INSTANCE, by=ANN, reason="")
    elif shut == "canary":
        assert claim(fingerprint=fingerprint).claims
    else:
        redis_client.hset(f"nightly:rate:{INSTANCE}", "paused_until", clock.ms + 1)
    found = ledger.pulse({INSTANCE: fingerprint})
    assert (found.due, found.should_wake) == (0, False)
    if shut == "paused":
        clock.ms += 1
        assert ledger.pulse({INSTANCE: fingerprint}).due == 2


@pytest.mark.parametrize(
    ("field", "moment", "is_due"),
    [
        ("paused_until", 1, False),
        ("paused_until", 3_600_000, False),
        ("paused_until", 3_600_001, True),
        ("tat", 1_000, True),
        ("tat", 1_001, False),
        ("tat", 7_000, False),
        ("tat", 7_001, True),
    ],
)
def test_a_call_more_than_a_second_ahead_asks_for_no_reconciler(
    ledger: Ledger, clock: Clock, redis_client: Redis, *, field: str, moment: int, is_due: bool
) -> None:
    ledger.record(wishes(1))
    redis_client.hset(f"nightly:rate:{INSTANCE}", field, clock.ms + moment)
    assert ledger.pulse(MINE).due == is_due


@pytest.mark.parametrize(
    ("rate", "moment", "is_due"), [("0.1", 16_000, False), ("0.1", 16_001, True), ("50", 7_001, True)]
)
def test_at_a_lower_rate_the_next_call_may_be_further_ahead(
    ledger: Ledger, clock: Clock, redis_client: Redis, *, rate: str, moment: int, is_due: bool
) -> None:
    ledger.record(wishes(1))
    redis_client.hset(f"nightly:rate:{INSTANCE}", mapping={"tat": clock.ms + moment, "ceiling": rate})
    assert ledger.pulse(MINE).due == is_due


def test_one_message_is_sent_until_a_reconciler_starts(ledger: Ledger, redis_client: Redis) -> None:
    assert ledger.pulse(MINE).should_wake is False
    ledger.record(wishes(1))
    assert ledger.pulse(MINE).should_wake is True
    assert ledger.pulse(MINE).should_wake is False, "the message is on its way"
    assert 0 < redis_client.pttl("nightly:hint") <= 1000
    assert ledger.join_reconcilers("worker", "a")
    assert not redis_client.exists("nightly:hint")
    assert ledger.pulse(MINE).should_wake is False, "a reconciler is running"
    ledger.leave_reconcilers("worker", "a")
    assert ledger.pulse(MINE).should_wake is True


def test_a_hint_from_before_the_clock_of_redis_was_set_back_holds_no_message_up(
    ledger: Ledger, redis_client: Redis
) -> None:
    ledger.record(wishes(1))
    redis_client.set("nightly:hint", "1", px=10_000)
    assert not ledger.pulse(MINE).should_wake
    redis_client.pexpire("nightly:hint", 3_600_000)
    assert ledger.pulse(MINE).should_wake


@pytest.mark.parametrize(("due", "slots", "wanted"), [(100, 9, 1), (101, 9, 2), (201, 9, 3), (201, 3, 2), (201, 1, 1)])
def test_one_reconciler_is_wanted_for_each_hundred_logins_up_to_the_slots(
    ledger: Ledger, clock: Clock, redis_client: Redis, due: int, slots: int, wanted: int
) -> None:
    ledger.pulse({}, worker="worker", slots=slots)
    ledger.record(wishes(due))
    sent = 0
    while ledger.pulse(MINE).should_wake:
        redis_client.zadd("nightly:reconcilers", {f"worker|{sent}": clock.ms + 3000})
        sent += 1
        hint_is_gone(redis_client)
    assert sent == wanted


def test_every_worker_adds_at_least_one_reconciler_and_every_instance_its_logins(
    ledger: Ledger, clock: Clock, redis_client: Redis
) -> None:
    for worker in ("a", "b"):
        ledger.pulse({}, worker=worker, slots=1)
    ledger.record([*wishes(101), replace(wishes(1)[0], reference="lgn_other", instance="another")])
    redis_client.hset("nightly:configs:another", "its-own", "proven")
    redis_client.zadd("nightly:reconcilers", {"a|1": clock.ms + 3000})
    found = ledger.pulse(MINE | {"another": "its-own"})
    assert (found.due, found.should_wake) == (102, True)


def test_a_worker_is_live_for_ten_seconds_and_forgotten_after_a_minute(
    ledger: Ledger, clock: Clock, redis_client: Redis
) -> None:
    ledger.pulse({}, worker="worker", slots=3, about={"version": "1"})
    ledger.record(wishes(150))
    views = Views(redis_client, now_ms=clock)
    assert views.workers(clock.ms) == [
        {"name": "worker", "silent_seconds": 0, "slots": 3, "version": "1", "excluded": []}
    ]

    def wants_a_second() -> bool:
        hint_is_gone(redis_client)
        redis_client.zadd("nightly:reconcilers", {"worker|0": clock.ms + 3000})
        return ledger.pulse(MINE).should_wake

    clock.ms += 10_000
    assert wants_a_second()
    clock.ms += 1
    assert not wants_a_second()
    clock.ms += 49_999
    ledger.pulse({})
    assert redis_client.hexists("nightly:workers", "worker")
    clock.ms += 1
    ledger.pulse({})
    assert not redis_client.hexists("nightly:workers", "worker")


def test_a_worker_with_a_slot_to_spare_keeps_one_reconciler_for_all_of_its_instances(
    ledger: Ledger, clock: Clock, redis_client: Redis
) -> None:
    def wants_one(slots: int, *, fingerprint: str = "proven-one", instances: tuple[str, ...] = (INSTANCE,)) -> bool:
        about = {"instances": instances, "keys": ["k1"]}
        redis_client.delete("nightly:hint:k1")
        found = ledger.pulse(dict.fromkeys(instances, fingerprint), worker=f"w{slots}", slots=slots, about=about)
        return found.should_wake

    assert not wants_one(1)
    assert wants_one(2)
    assert wants_one(3)
    ledger.join_reconcilers("w3", "a")
    assert not wants_one(2)
    redis_client.hset("nightly:configs:another", "proven-one", "proven")
    assert wants_one(2, instances=(INSTANCE, "another")), "the other worker does not call for both"
    ledger.leave_reconcilers("w3", "a")
    assert wants_one(2)
    GateKeeper(redis_client, now_ms=clock).close(INSTANCE, by=ANN, reason="")
    assert not wants_one(2)


# -- notices -----------------------------------------------------------------------------------------------


def test_a_heartbeat_gets_the_ten_oldest_notices(ledger: Ledger, clock: Clock, redis_client: Redis) -> None:
    for at in range(11):
        redis_client.zadd("nightly:notices", {f"gate|{at:02}": clock.ms - 20 + at})

    def texts(pulse: Pulse) -> list[str]:
        return [notice.text for notice in pulse.notices]

    assert texts(ledger.pulse({}, worker="a", slots=1)) == [f"gate|{at:02}" for at in range(10)]
    assert texts(ledger.pulse({}, worker="b", slots=1)) == ["gate|10"]
    clock.ms += 14_999
    assert texts(ledger.pulse({}, worker="b", slots=1)) == []
