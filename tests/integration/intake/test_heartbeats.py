"""Only a death counts as a death: a busy reader keeps its entries, and a reader that stopped normally is not dead."""

import threading

import pytest
from redis import Redis

from tests.integration.intake.conftest import Reader, add, die_with_all_in_hand, empty, event, recorded
from tests.ledger_calls import list_letters
from tests.waiting import eventually
from worker.errors import NotReplicated
from worker.events.channels import STREAM
from worker.intake import stream_group as entry_group
from worker.intake.accept import Intake
from worker.intake.poison import DEATHS, Deliveries
from worker.ledger import Letters


def test_a_reader_with_a_heartbeat_keeps_its_entries_however_long_they_take(
    redis_client: Redis, reader: Reader, intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entry_group, "TAKE_OVER_AFTER_MS", 200)
    slow, others = reader("slow"), [reader(f"other-{number}") for number in range(3)]
    may_end = threading.Event()
    take_in = intake.accept_bodies
    monkeypatch.setattr(intake, "accept_bodies", lambda bodies: may_end.wait(20) and take_in(bodies))
    add(redis_client, [event(1), event(2)])
    working = threading.Thread(target=slow.step)
    working.start()
    eventually(lambda: redis_client.xinfo_groups(STREAM)[0]["pending"], describe="the entry to be in hand")
    rounds = 0
    while redis_client.xpending_range(STREAM, "nightly", "-", "+", 1)[0]["time_since_delivered"] < 1000:
        slow.beat()
        assert [other._group.claim_next() for other in others] == [None] * 3
        rounds += 1
    may_end.set()
    working.join(20)
    assert rounds > 3
    assert recorded(redis_client) == 2
    assert redis_client.keys("nightly:in-hand:*") == []


def test_two_readers_share_the_entries_of_a_dead_reader(
    redis_client: Redis, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(40):
        add(redis_client, event(number))
    die_with_all_in_hand(reader("dead"))
    one, two = reader("one"), reader("two")
    eventually(
        lambda: redis_client.xpending_range(STREAM, "nightly", "-", "+", 1)[0]["time_since_delivered"] > 20,
        describe="entries that rest",
    )
    monkeypatch.setattr(entry_group, "TAKE_OVER_AFTER_MS", 10)
    while redis_client.xlen(STREAM):
        one.step()
        two.step()
    assert recorded(redis_client) == 40
    assert redis_client.hget("nightly:tally:toolbox", "duplicate") is None


def test_entries_that_another_reader_claimed_meanwhile_are_left_to_it(
    redis_client: Redis, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2):
        add(redis_client, event(number))
    die_with_all_in_hand(reader("dead"))
    one, two = reader("one"), reader("two")
    monkeypatch.setattr(entry_group, "TAKE_OVER_AFTER_MS", 200)
    eventually(one._group.claim_next, describe="the first entry")
    assert two._group.claim_next()
    redis_client.xack(STREAM, "nightly", redis_client.xpending_range(STREAM, "nightly", "-", "+", 1)[0]["message_id"])
    while redis_client.xpending_range(STREAM, "nightly", "-", "+", 1)[0]["time_since_delivered"] < 300:
        two.beat()
    assert one._group.claim_next() is None


def test_a_reader_that_stops_normally_with_a_suspect_in_hand_counts_as_no_death(
    redis_client: Redis, reader: Reader, intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(redis_client, event(1))
    die_with_all_in_hand(reader("dead"))

    def refuse(_: object) -> bool:
        raise NotReplicated

    with monkeypatch.context() as patch:
        patch.setattr(intake, "accept_bodies", refuse)
        for number in range(2 * DEATHS):
            restarted = reader(f"restarted-{number}")
            with pytest.raises(NotReplicated):
                empty(restarted)
            restarted.leave()
    empty(reader("alive"))
    assert recorded(redis_client) == 1
    assert not list_letters(Letters(redis_client))


def test_entries_of_a_reader_that_stopped_normally_are_taken_over_without_counting_a_death(
    redis_client: Redis, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[str] = []
    take_in_hand = Deliveries.take_in_hand
    monkeypatch.setattr(Deliveries, "take_in_hand", lambda *args: counted.append(args[1]) or take_in_hand(*args))
    add(redis_client, [event(1), event(2)])
    for name in ("stopped", "stopped too"):
        stopped = reader(name)
        assert stopped._fresh() or stopped._group.claim_next()
        stopped.leave()
    empty(reader("next"))
    assert recorded(redis_client) == 2
    assert counted == []
