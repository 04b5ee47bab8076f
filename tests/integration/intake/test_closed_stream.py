"""A producer closes the stream with the largest id: workers reopen it and lose nothing."""

import json
import threading
import time
from typing import Any

import pytest
import redis
from redis import Redis
from structlog.testing import capture_logs

from tests.integration.intake.conftest import (
    LARGEST,
    Reader,
    add,
    counts,
    die_with_a_suspect_in_hand,
    die_with_all_in_hand,
    empty,
    event,
    recorded,
    state,
    step_until_open,
    vanished,
)
from tests.ledger_calls import list_letters
from tests.waiting import eventually
from worker.events.channels import STREAM
from worker.intake.stream_account import StreamAccount
from worker.intake.stream_group import GROUP
from worker.ledger import Letters
from worker.ledger.stream_state import LARGEST_MS

FAR_AHEAD = "9999999999999-1"


@pytest.mark.parametrize("trim", [[], ["MAXLEN", "=", "0"]])
@pytest.mark.parametrize("last_id", [LARGEST, f"{LARGEST_MS}-0", FAR_AHEAD])
def test_a_stream_that_a_producer_closed_is_reopened_once_every_entry_is_recorded(
    redis_client: Redis, attacker: Redis, reader: Reader, last_id: str, trim: list[str]
) -> None:
    alive = reader("alive")
    add(redis_client, event(1))
    attacker.execute_command("XADD", STREAM, *trim, last_id, "event", json.dumps(event(2)))
    if last_id == LARGEST:
        with pytest.raises(redis.ResponseError):
            add(redis_client, event(3))
    assert state(redis_client)["stream_is_closed"] is last_id.startswith(str(LARGEST_MS))
    assert state(redis_client)["stream_ids_ahead_seconds"] > 60
    with capture_logs() as lines:
        step_until_open(redis_client, alive)
    assert [line["last_id"] for line in lines if line["event"] == "stream_ids_repaired"] == [last_id]
    assert abs(int(add(redis_client, event(4)).partition(b"-")[0]) / 1000 - time.time()) < 60
    empty(alive)
    counted = 2 if trim and counts(redis_client) else 0
    assert recorded(redis_client) == (1 if trim else 3)
    assert vanished(redis_client) == counted


def test_a_reader_that_waits_while_the_stream_is_recreated_gets_the_next_entry(
    redis_client: Redis, attacker: Redis, redis_url: str, reader: Reader
) -> None:
    alive = reader("alive")
    attacker.execute_command("XADD", STREAM, LARGEST, "event", json.dumps(event(1)))
    found: list[Any] = []

    def wait() -> None:
        with Redis.from_url(redis_url) as client:
            found.append(client.xreadgroup(GROUP, "waiting", {STREAM: ">"}, block=20_000))

    assert redis_client.xreadgroup(GROUP, "alive", {STREAM: ">"})
    alive._group.acknowledge([LARGEST.encode()])
    thread = threading.Thread(target=wait)
    thread.start()
    blocked = lambda: int(redis_client.info("clients")["blocked_clients"]) == 1  # type: ignore[index, arg-type]  # noqa: E731
    eventually(blocked, describe="a reader that waits")
    StreamAccount(redis_client, STREAM, GROUP).step()
    assert state(redis_client)["stream_last_id"] == "0-0"
    add(redis_client, event(2))
    thread.join(20)
    assert b"login-number-2" in str(found).encode()


@pytest.mark.parametrize("group", [GROUP, "another"])
def test_a_stream_is_not_recreated_while_a_group_holds_an_entry(
    redis_client: Redis, attacker: Redis, reader: Reader, group: str
) -> None:
    alive = reader("alive")
    if group != GROUP:
        redis_client.xgroup_create(STREAM, group, id="0")
    attacker.execute_command("XADD", STREAM, LARGEST, "event", json.dumps(event(1)))
    redis_client.xreadgroup(group, "theirs", {STREAM: ">"})
    if group != GROUP:
        empty(alive)
    else:
        redis_client.xdel(STREAM, LARGEST)
    StreamAccount(redis_client, STREAM, GROUP).step()
    assert redis_client.xlen(STREAM) == 0
    assert state(redis_client)["stream_is_closed"]
    redis_client.xack(STREAM, group, LARGEST)
    StreamAccount(redis_client, STREAM, GROUP).step()
    assert not state(redis_client)["stream_is_closed"]
    assert group.encode() in [each["name"] for each in redis_client.xinfo_groups(STREAM)]


def test_no_event_added_while_the_stream_is_recreated_is_lost(
    redis_client: Redis, attacker: Redis, redis_url: str, reader: Reader
) -> None:
    alive, is_done = reader("alive"), threading.Event()

    def publish() -> None:
        with Redis.from_url(redis_url) as client:
            for number in range(300):
                add(client, event(number))
        is_done.set()

    thread = threading.Thread(target=publish)
    thread.start()
    closed = 0
    while not is_done.is_set():
        ahead = f"{9 * 10**12 + closed * 10}-1"
        try:
            attacker.execute_command("XADD", STREAM, ahead, "event", json.dumps(event(1000 + closed)))
        except redis.ResponseError:
            pass  # not recreated since the last time
        else:
            closed += 1
        alive.step()
    thread.join(20)
    step_until_open(redis_client, alive)
    empty(alive)
    assert closed > 0
    assert recorded(redis_client) == 300 + closed
    assert vanished(redis_client) == 0


def test_a_batch_with_the_largest_id_is_recorded_whole_after_its_reader_died(
    redis_client: Redis, attacker: Redis, reader: Reader
) -> None:
    dead = reader("dead")
    attacker.execute_command("XADD", STREAM, LARGEST, "event", json.dumps([event(1), event(2)]))
    die_with_all_in_hand(dead)
    die_with_a_suspect_in_hand(reader("dead too"))
    empty(reader("alive"))
    assert recorded(redis_client) == 2
    assert list_letters(Letters(redis_client)) == []


def test_the_largest_id_at_the_end_of_a_page_of_pending_entries_stops_no_reader(
    redis_client: Redis, attacker: Redis, reader: Reader
) -> None:
    for number in range(99):
        add(redis_client, event(number))
    attacker.execute_command("XADD", STREAM, LARGEST, "event", json.dumps(event(99)))
    die_with_all_in_hand(reader("dead"))
    empty(reader("alive"))
    assert recorded(redis_client) == 100
