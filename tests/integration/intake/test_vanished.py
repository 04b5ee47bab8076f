"""Entries that a producer trims from the stream are counted and reported."""

import json
import random
from typing import Any

import pytest
from redis import Redis
from structlog.testing import capture_logs

from tests.integration.intake.conftest import (
    Reader,
    add,
    counts,
    die,
    die_with_all_in_hand,
    empty,
    event,
    recorded,
    state,
    step_until_open,
    vanished,
)
from worker.events.channels import STREAM
from worker.intake import stream_account
from worker.intake.stream_account import StreamAccount
from worker.intake.stream_group import GROUP


@pytest.mark.parametrize("reads_before", [False, True])
def test_entries_that_a_producer_trimmed_are_counted(
    redis_client: Redis,
    attacker: Redis,
    reader: Reader,
    reads_before: bool,  # noqa: FBT001 - a parameter
) -> None:
    if reads_before:
        add(redis_client, event(0))
        empty(reader("before"))
    for number in range(1, 6):
        add(redis_client, event(number))
    attacker.execute_command("XADD", STREAM, "MAXLEN", "=", "1", "*", "event", json.dumps(event(6)))
    empty(reader("alive"))
    assert recorded(redis_client) == 1 + reads_before
    assert vanished(redis_client) == (5 if counts(redis_client) else 0)
    assert state(redis_client)["stream_counts_entries"] == counts(redis_client)


def test_entries_that_workers_delete_do_not_count_as_vanished(redis_client: Redis, reader: Reader) -> None:
    for number in range(9):
        add(redis_client, event(number))
    add(redis_client, [event(10), event(11)])
    add(redis_client, event(12, type="other"))
    redis_client.xadd(STREAM, {"other": "field"})
    redis_client.xadd(STREAM, {"event": b"x" * 3_000_000})
    die_with_all_in_hand(reader("dead"))
    empty(reader("alive"))
    assert recorded(redis_client) == 11
    assert vanished(redis_client) == 0


def test_entries_that_a_dead_reader_held_and_a_producer_trimmed_are_counted_on_every_server(
    redis_client: Redis, attacker: Redis, reader: Reader
) -> None:
    for number in range(4):
        add(redis_client, event(number))
    die_with_all_in_hand(reader("dead"))
    attacker.execute_command("XADD", STREAM, "MAXLEN", "=", "1", "*", "event", json.dumps(event(5)))
    empty(reader("alive"))
    assert recorded(redis_client) == 1
    assert vanished(redis_client) == 4


@pytest.mark.parametrize("seed", range(5))
def test_every_entry_is_recorded_or_counted_as_vanished(
    redis_client: Redis, attacker: Redis, reader: Reader, seed: int
) -> None:
    if not counts(redis_client):
        pytest.skip("Redis 6.2 does not count what was added")
    chance, alive, added = random.Random(seed), reader("one"), 0
    for step in range(150):
        action = chance.choice(["add", "add", "trim", "read", "read", "die", "close"])
        if action == "read":
            alive.step()
        elif action == "die":
            if chance.random() < 0.5:
                alive._fresh()
            die(alive)
            alive = reader(f"after {step}")
        else:
            trim = ["MAXLEN", "=", chance.randrange(3)] if action == "trim" else []
            last = int(str(state(redis_client)["stream_last_id"]).partition("-")[0])
            entry_id = f"{max(last, 9 * 10**12) + 1}-1" if action == "close" else "*"
            attacker.execute_command("XADD", STREAM, *trim, entry_id, "event", json.dumps(event(added)))
            added += 1
    step_until_open(redis_client, alive)
    empty(alive)
    assert recorded(redis_client) + vanished(redis_client) == added


def test_vanished_entries_are_reported_once_an_hour_as_one_number(
    redis_client: Redis, attacker: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts = [StreamAccount(redis_client, STREAM, GROUP) for _ in range(2)]

    def lines_of_a_loss() -> list[Any]:
        for _ in range(2):
            redis_client.xadd(STREAM, {"event": "{}"})
        attacker.execute_command("XADD", STREAM, "MAXLEN", "=", "0", "*", "event", "{}")
        if not counts(redis_client):  # entries of a dead reader are counted there too
            redis_client.hincrby(f"nightly:entries:{STREAM}", "vanished", 3)
        with capture_logs() as lines:
            for account in accounts:
                account.step()
        return [(line["count"], line["total"]) for line in lines if line["event"] == "stream_entries_vanished"]

    assert lines_of_a_loss() == [(3, 3)]
    assert lines_of_a_loss() == []
    monkeypatch.setattr(stream_account, "TELL_EVERY_MS", 0)
    assert lines_of_a_loss() == [(6, 9)]


def test_counters_of_a_replaced_stream_start_again_and_report_nothing(
    redis_client: Redis, attacker: Redis, reader: Reader
) -> None:
    alive = reader("alive")
    redis_client.hset(f"nightly:entries:{STREAM}", "taken", 5000)
    add(redis_client, event(1))
    empty(alive)
    assert vanished(redis_client) == 0
    add(redis_client, event(2))
    attacker.execute_command("XADD", STREAM, "MAXLEN", "=", "0", "*", "event", "{}")
    alive.step()
    assert vanished(redis_client) == (2 if counts(redis_client) else 0)


def test_a_user_without_the_rights_to_count_still_records_events_and_reports_it_once(
    redis_client: Redis, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive = reader("alive")
    monkeypatch.setattr(stream_account, "_LOOK", "return redis.call('NO-SUCH-COMMAND')")
    add(redis_client, event(1))
    with capture_logs() as lines:
        empty(alive)
    assert recorded(redis_client) == 1
    assert [line["event"] for line in lines].count("stream_check_refused") == 1
