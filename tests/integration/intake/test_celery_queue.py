"""Celery messages on a real Redis, sent by real Celery and kombu clients: none is lost before the ledger."""

import base64
import json
import socket
import uuid
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from celery import Celery
from kombu import Connection, Exchange, Queue
from redis import Redis

from tests.integration.intake.celery_queue import TIME, Memory, empty, reader_of, send
from tests.integration.intake.conftest import die
from worker.broker.celery_config import kombu_address
from worker.intake import stream_group as entry_group
from worker.intake.celery_queue import NEXT, QUEUE_LISTS, TAKEN
from worker.operations.waiting import unrecorded


@pytest.fixture
def intake() -> Memory:
    return Memory()


@pytest.fixture
def producer(redis_url: str) -> Iterator[Celery]:
    with Celery(broker=kombu_address(redis_url)[0], set_as_current=False) as app:
        yield app


def test_messages_are_taken_by_priority_and_then_by_age(redis_client: Redis, producer: Celery, intake: Memory) -> None:
    for priority in (9, 6, 3, 0):
        for name in ("a", "b"):
            send(producer, f"{priority}{name}", priority=priority)
    empty(reader_of(redis_client, intake))
    assert intake.logins == ["0a", "0b", "3a", "3b", "6a", "6b", "9a", "9b"]
    assert redis_client.exists(*QUEUE_LISTS, NEXT) == 0
    assert unrecorded(redis_client) == 0


@pytest.mark.parametrize("options", [{"compression": "gzip"}, {"compression": "bzip2"}, {"countdown": 3600}])
def test_an_event_is_recorded_in_every_form_that_celery_sends(
    redis_client: Redis, producer: Celery, intake: Memory, options: dict[str, Any]
) -> None:
    send(producer, "login-1", task_id="task-1", **options)
    empty(reader_of(redis_client, intake))
    kwargs = {"login_id": "login-1", "occurred_at": TIME}
    assert [tuple(message) for message in intake.taken] == [("account.linked", [], kwargs, "task-1")]


def test_a_message_of_protocol_1_is_rejected(redis_client: Redis, producer: Celery, intake: Memory) -> None:
    producer.conf.task_protocol = 1
    send(producer, "login-1", task_id="task-1")
    empty(reader_of(redis_client, intake))
    assert intake.taken == []
    assert intake.rejected == ["message: its headers name no task, as Celery's message protocol 2 requires"]


def test_a_datetime_that_kombu_serialised_is_read_as_a_datetime(
    redis_client: Redis, producer: Celery, intake: Memory
) -> None:
    moment = datetime(2026, 11, 22, 10, tzinfo=UTC)
    producer.send_task("account.linked", kwargs={"occurred_at": moment}, queue="account-events")
    empty(reader_of(redis_client, intake))
    assert intake.taken[0].kwargs == {"occurred_at": moment}


def test_two_readers_share_the_queue_and_each_message_is_taken_once(
    redis_client: Redis, producer: Celery, intake: Memory
) -> None:
    logins = [str(number) for number in range(250)]
    for login in logins:
        send(producer, login)
    one, two = reader_of(redis_client, intake), reader_of(redis_client, intake, "two")
    took = [0, 0]
    while unrecorded(redis_client):
        took[0] += one.step()
        took[1] += two.step()
    assert sorted(intake.logins) == sorted(logins)
    assert min(took) >= 10


def test_messages_in_the_hands_of_a_dead_reader_go_to_another_reader(
    redis_client: Redis, producer: Celery, intake: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entry_group, "TAKE_OVER_AFTER_MS", 0)
    for login in "abc":
        send(producer, login)
    dead = reader_of(redis_client, intake, "dead")
    assert len(dead._fresh()) == 3
    die(dead)
    assert redis_client.exists(*QUEUE_LISTS) == 0
    empty(reader_of(redis_client, intake, "alive"))
    assert intake.logins == ["a", "b", "c"]
    assert redis_client.xlen(TAKEN) == 0


def test_a_message_handed_to_a_reader_that_died_while_waiting_goes_to_another_reader(
    redis_client: Redis, producer: Celery, intake: Memory
) -> None:
    send(producer, "first")
    send(producer, "second")
    redis_client.blmove("account-events", NEXT, 1, "RIGHT", "LEFT")
    empty(reader_of(redis_client, intake))
    assert intake.logins == ["first", "second"]


def test_a_deleted_stream_loses_only_the_entries_that_were_in_it(
    redis_client: Redis, producer: Celery, intake: Memory
) -> None:
    reader = reader_of(redis_client, intake)
    redis_client.delete(TAKEN)
    send(producer, "login-1")
    assert [reader.step(), reader.step()] == [0, 1]
    assert intake.logins == ["login-1"]


def test_large_messages_are_moved_in_small_numbers(redis_client: Redis, intake: Memory) -> None:
    reader = reader_of(redis_client, intake)
    for _ in range(6):
        redis_client.lpush("account-events", b"x" * 5_000_000)
    moved = [len(reader._fresh()) for _ in range(4)]
    assert moved == [2, 2, 2, 0]


def test_a_task_that_is_not_an_event_is_set_aside_and_never_run(
    redis_client: Redis, producer: Celery, intake: Memory
) -> None:
    """Passed on to `refresh`, two thousand of them delayed all calls by 24 s."""
    for task in ("refresh.reconcile", "backfill.feed"):
        producer.send_task(task, queue="account-events", kwargs={"key": "0badcafe", "hops": 20})
    empty(reader_of(redis_client, intake))
    assert intake.taken == []
    assert intake.rejected == ["message: its task is not an event"] * 2
    assert not redis_client.exists("refresh", "backfill")


def test_an_event_is_recorded_and_its_linked_tasks_are_not_sent(
    redis_client: Redis, producer: Celery, intake: Memory
) -> None:
    send(producer, "linked", link=producer.signature("theirs.next"))
    empty(reader_of(redis_client, intake))
    assert (intake.logins, intake.rejected) == (["linked"], [])
    assert not redis_client.exists("refresh", "celery")


def test_foreign_messages_are_kept_and_the_reader_continues(
    redis_client: Redis, producer: Celery, intake: Memory
) -> None:
    redis_client.lpush("account-events", b"\xff")
    redis_client.xadd(TAKEN, {"else": b"where"})
    producer.send_task("theirs", queue="account-events")
    send(producer, "login-1")
    empty(reader_of(redis_client, intake))
    assert intake.logins == ["login-1"]
    assert sorted(intake.rejected) == [
        "message: is not UTF-8",
        "message: its task is not an event",
        "message: the stream entry has no such field",
    ]


def test_a_producer_that_declares_no_queue_finds_it_bound(redis_client: Redis, redis_url: str) -> None:
    intake = Memory()
    reader = reader_of(redis_client, intake)
    with Connection(kombu_address(redis_url)[0]) as connection:
        connection.Producer().publish({}, exchange="account-events", routing_key="account-events")
    empty(reader)
    assert intake.rejected == ["message: its headers name no task, as Celery's message protocol 2 requires"]


def test_a_message_that_kombu_took_for_an_older_worker_returns_to_the_queue(
    redis_client: Redis, redis_url: str, producer: Celery, intake: Memory
) -> None:
    """Any worker that consumes another queue through kombu restores it: kombu keeps one table for all queues."""
    send(producer, "login-1")
    exchange = Exchange("account-events", type="direct")
    older = Connection(kombu_address(redis_url)[0], transport_options={"visibility_timeout": 0})
    queue = Queue("account-events", exchange, routing_key="account-events")(older.channel())
    assert queue.get() is not None
    assert redis_client.hlen("unacked") == 1
    younger = Connection(
        kombu_address(redis_url)[0], transport_options={"visibility_timeout": 0, "unacked_restore_throttle": 1}
    )
    with younger, younger.Consumer(Queue("refresh", Exchange("refresh"), routing_key="refresh"), callbacks=[print]):
        younger.transport.cycle.maybe_restore_messages()
        with suppress(socket.timeout):
            younger.drain_events(timeout=0.01)
    assert redis_client.hlen("unacked") == 0
    empty(reader_of(redis_client, intake))
    assert intake.logins == ["login-1"]
    older.close()


def test_an_item_that_resembles_a_celery_message_is_judged_as_celery_would_judge_it(
    redis_client: Redis, intake: Memory
) -> None:
    body = base64.b64encode(json.dumps([[], {}, {}]).encode()).decode()
    item = {"body": body, "content-type": "application/json", "headers": {"task": "account.linked"}}
    item["properties"] = {"delivery_tag": str(uuid.uuid4()), "body_encoding": "base64", "delivery_info": {}}
    redis_client.lpush("account-events", json.dumps(item))
    empty(reader_of(redis_client, intake))
    assert intake.rejected == ["message: could not be handled (KeyError)"]
