"""Events that wait are counted on each way in, read or not, with the age of the oldest one."""

import json
from datetime import UTC, datetime, timedelta

from celery import Celery
from kombu import Connection, Exchange, Queue
from pydantic import SecretStr
from redis import Redis

from worker.broker.celery_config import kombu_address
from worker.config.settings import Settings
from worker.events.channels import EVENTS_QUEUE, STREAM
from worker.intake.celery_queue import NEXT, TAKEN
from worker.intake.stream_group import GROUP
from worker.ledger.dead_letters import Letters, Message
from worker.ledger.queries import Views
from worker.operations.waiting import Way, queue_way, read_state, stream_way, unrecorded


def now_ms(client: Redis) -> int:
    return int(client.time()[0]) * 1000


def send(url: str, occurred_at: str, *, priority: int = 0) -> None:
    with Celery(broker=kombu_address(url)[0], set_as_current=False) as app:
        app.send_task(
            "account.linked",
            kwargs={"login_id": "x", "occurred_at": occurred_at},
            queue=EVENTS_QUEUE,
            priority=priority,
        )


def state_of(client: Redis, url: str, *, broker: str | None = None) -> dict[str, Way]:
    settings = Settings(redis_url=SecretStr(url), broker_url=SecretStr(broker) if broker else None)
    ways: dict[str, Way] = read_state(client, settings)["waiting_events"]
    return ways


def test_entries_of_the_stream_count_until_they_are_acknowledged(redis_client: Redis) -> None:
    at = now_ms(redis_client)
    assert stream_way(redis_client, at) == {"events": 0, "unacknowledged": 0, "oldest_seconds": None}
    redis_client.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    for seconds in (90, 30, 10):
        redis_client.xadd(STREAM, {"event": "{}"}, id=f"{at - seconds * 1000}-1")
    redis_client.xreadgroup(GROUP, "reader", {STREAM: ">"}, count=2)
    assert stream_way(redis_client, at) == {"events": 3, "unacknowledged": 2, "oldest_seconds": 90.0}


def test_ids_ahead_of_the_clock_hide_the_age(redis_client: Redis) -> None:
    at = now_ms(redis_client)
    redis_client.xadd(STREAM, {"event": "{}"}, id=f"{at + 100_000}-1")
    assert stream_way(redis_client, at) == {"events": 1, "unacknowledged": 0, "oldest_seconds": None}


def test_celery_messages_count_wherever_they_wait(redis_client: Redis, redis_url: str) -> None:
    at = now_ms(redis_client)
    for number, priority in enumerate((0, 6, 9)):
        occurred_at = datetime.fromtimestamp(at / 1000, UTC) - timedelta(minutes=number)
        send(redis_url, occurred_at.isoformat(), priority=priority)
    redis_client.lpush(NEXT, b"moved by a worker that waits")
    redis_client.xadd(TAKEN, {"message": b"read by a worker"}, id=f"{at - 1000}-0")
    redis_client.xgroup_create(TAKEN, GROUP, id="0")
    redis_client.xreadgroup(GROUP, "reader", {TAKEN: ">"})
    assert queue_way(redis_client, at) == {"events": 5, "unacknowledged": 1, "oldest_seconds": 120.0}
    assert unrecorded(redis_client) == 5


def test_messages_that_celery_itself_has_read_count_and_those_of_other_queues_do_not(
    redis_client: Redis, redis_url: str
) -> None:
    send(redis_url, "2026-11-22T10:00:00Z")
    with Connection(kombu_address(redis_url)[0]) as connection:
        refresh = Queue("refresh", Exchange("refresh", type="direct"), routing_key="refresh")
        connection.Producer().publish({}, exchange="refresh", routing_key="refresh", declare=[refresh])
        for name in (EVENTS_QUEUE, "refresh"):
            queue = Queue(name, Exchange(name, type="direct"), routing_key=name)(connection.channel())
            queue.declare()
            assert queue.get() is not None
        assert queue_way(redis_client, 0) == {"events": 1, "unacknowledged": 1, "oldest_seconds": None}


def test_the_age_of_a_message_without_a_readable_time_is_unknown(redis_client: Redis, redis_url: str) -> None:
    send(redis_url, "yesterday")
    redis_client.lpush(EVENTS_QUEUE, b"\xff")
    assert queue_way(redis_client, now_ms(redis_client)) == {"events": 2, "unacknowledged": 0, "oldest_seconds": None}


def test_messages_set_aside_count_with_the_age_of_the_oldest(redis_client: Redis, redis_url: str) -> None:
    at = now_ms(redis_client)
    for age, code in ((600, "invalid_event"), (300, "unknown_instance")):
        message = Message(id=f"m-{age}", code=code, reason="x", source="stream", size=1, sealed_body=b"s", event_id="")
        Letters(redis_client, now_ms=lambda age=age: at - age * 1000).keep_rejected([message])  # type: ignore[misc] # bound at once
    aside = state_of(redis_client, redis_url)["set_aside"]
    assert (aside["events"], aside["oldest_seconds"] // 10) == (2, 60)
    assert Views(redis_client).status()["rejected_open"] == {"invalid_event": 1, "unknown_instance": 1}


def test_the_queue_of_another_broker_is_read_there_and_unknown_if_it_does_not_answer(
    redis_client: Redis, redis_url: str
) -> None:
    redis_client.lpush(EVENTS_QUEUE, json.dumps({}))
    assert state_of(redis_client, redis_url)["queue"]["events"] == 1
    assert state_of(redis_client, redis_url, broker=f"{redis_url}?db=1")["queue"]["events"] == 0
    for broker, problem in (("redis://127.0.0.1:1", "the broker"), ("amqp://u:canary@127.0.0.1:1//", "RabbitMQ")):
        queue = state_of(redis_client, redis_url, broker=broker)["queue"]
        assert (queue["events"], queue["problem"].startswith(f"{problem} cannot be reached: ")) == (None, True)
        assert "canary" not in queue["problem"]


def test_a_process_that_does_not_know_of_the_workers_rabbitmq_has_the_queue_as_unknown(
    redis_client: Redis, redis_url: str
) -> None:
    assert state_of(redis_client, redis_url)["queue"]["events"] == 0
    heartbeat = {"at": now_ms(redis_client), "broker": "rabbitmq"}
    redis_client.hset("nightly:workers", "worker-1", json.dumps(heartbeat))
    found = state_of(redis_client, redis_url)["queue"]
    assert (found["events"], "BROKER_URL" in found["problem"]) == (None, True)
