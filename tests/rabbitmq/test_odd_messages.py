"""Any message in RabbitMQ's queues is recorded or kept for review, and stops nothing."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import amqp
import pytest
from celery import signature

from sandbox.emulator.remote import EmulatorControl
from sandbox.stack import EmbeddedRedis, OrphanGuard
from sandbox.stack.stack import EMULATOR_KEY
from tests.brief_stack import BriefStack
from tests.integration.celery_worker.conftest import cloud_event, new_logins
from tests.integration.celery_worker.hooked import start_hooked
from tests.integration.celery_worker.test_poison import DEADLY, POISON
from tests.ledger_calls import list_letters
from tests.rabbitmq.conftest import OnRabbit
from tests.rabbitmq.node import RabbitNode
from tests.waiting import eventually
from worker.intake.poison import DEATHS, Deliveries
from worker.services import build_services

EVENT = {"login_id": "canary-login", "occurred_at": "2026-11-22T10:00:00Z"}
TASK = json.dumps([[], EVENT, {}])
HEADERS = {"task": "account.linked", "id": "id-1"}
JSON = {"content_type": "application/json", "content_encoding": "utf-8"}
FOREIGN: dict[str, tuple[bytes | str, dict[str, Any]]] = {
    "text": (b"canary", {}),
    "no bytes at all": (b"", {}),
    "invalid UTF-8": (b"\xff\xfe\x00", JSON),
    "an object that is no event": ('{"canary": 1}', JSON),
    "an empty array": ("[]", JSON),
    "a type of event that is not ours": (json.dumps(cloud_event("canary", on=True, minute=0) | {"type": "x"}), JSON),
    "another content type": (b"canary", {"content_type": "application/x-python-serialize"}),
    "a content type nobody knows": (b"canary", {"content_type": "canary/login"}),
    "an encoding nobody knows": (b"canary", {"content_type": "application/json", "content_encoding": "canary"}),
    "a task we do not have": (TASK, JSON | {"application_headers": HEADERS | {"task": "canary"}}),
    "a task's name that is a list": (TASK, JSON | {"application_headers": HEADERS | {"task": [1]}}),
    "a task without an id": (TASK, JSON | {"application_headers": {"task": "account.linked"}}),
    "a body of one part": ("[1]", JSON | {"application_headers": HEADERS}),
    "a compression nobody knows": (TASK, JSON | {"application_headers": HEADERS | {"compression": "canary"}}),
    "nested too deeply": ("[" * 100_000 + "]" * 100_000, JSON),
    "ten megabytes": (b"[" + b" " * 10_000_000 + b"canary", JSON),
    "the task of protocol 1 without its parts": (json.dumps({"task": "account.linked"}), JSON),
}


@pytest.fixture
def settings_for_workers() -> dict[str, str]:
    return {"LOG_LEVEL": "DEBUG"}


def _put(nightly: OnRabbit, body: bytes | str, queue: str = "account-events", **properties: Any) -> None:
    with nightly.node.connection() as connection:
        connection.default_channel.basic_publish(amqp.Message(body, **properties), routing_key=queue)


def _seen(nightly: OnRabbit) -> int:
    return sum(letter.seen for letter in list_letters(nightly.services.letters))


def _works(nightly: OnRabbit) -> None:
    (login,) = new_logins(1)
    nightly.send_plain([cloud_event(login, on=True, minute=0)])
    eventually(lambda: nightly.flags().get(login), describe="the call after all that")
    nightly.comes_to_rest()


def test_a_foreign_message_is_kept_for_review_and_the_worker_continues(nightly: OnRabbit) -> None:
    worker = nightly.stack.start_worker()
    nightly.worker_reads()
    for queue in ("account-events", "refresh"):
        for body, properties in FOREIGN.values():
            _put(nightly, body, queue, **properties)
    sent = 2 * len(FOREIGN)
    eventually(lambda: _seen(nightly) >= sent, seconds=40, describe=f"{sent} letters, not {_seen(nightly)}")
    assert _seen(nightly) == sent
    assert {code for code, _ in nightly.letters()} == {"invalid_event"}
    assert all(letter.reason for letter in list_letters(nightly.services.letters))
    assert "canary" not in repr(nightly.letters())
    assert "canary" not in worker.log_path.read_text()
    _works(nightly)
    assert worker.is_running, worker.tail()


def test_messages_with_properties_that_python_cannot_hold_are_set_aside(nightly: OnRabbit) -> None:
    worker = nightly.stack.start_worker()
    nightly.worker_reads()
    in_milliseconds = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)
    headers = {"sent_at": in_milliseconds}
    original = amqp.serialization.calendar.timegm
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(amqp.serialization.calendar, "timegm", lambda _: 2**62 or original)
        _put(nightly, TASK, **JSON, application_headers=HEADERS | headers)
    eventually(nightly.letters, describe="the letter")
    assert nightly.letters() == [("invalid_event", "message: its properties cannot be read")]
    _works(nightly)
    assert worker.is_running, worker.tail()


def test_only_the_event_that_kills_workers_is_set_aside(nightly: OnRabbit) -> None:
    logins = new_logins(20)
    worker = nightly.stack.start_worker()
    nightly.worker_reads()  # it has declared queues and exchanges
    nightly.stack.stop_process(worker, grace_seconds=0)
    nightly.send_plain([cloud_event(login, on=True, minute=0) for login in (*logins[:10], POISON, *logins[10:])])
    for _ in range(DEATHS):
        worker = start_hooked(nightly.stack, DEADLY, is_ready=False)
        eventually(lambda: not worker.is_running, seconds=30, describe="the death of a worker")  # noqa: B023
        nightly.stack.stop_process(worker)
    worker = start_hooked(nightly.stack, DEADLY, is_ready=False)
    eventually(nightly.letters, seconds=30, describe="the letter")
    nightly.comes_to_rest()
    assert nightly.letters() == [("invalid_event", Deliveries.REASON)]
    assert nightly.flags() == dict.fromkeys(logins, True)
    assert worker.is_running
    assert nightly.redis.keys("nightly:in-hand:*") == []


def test_an_event_is_recorded_and_its_linked_tasks_are_not_sent(nightly: OnRabbit) -> None:
    (login,) = new_logins(1)
    nightly.stack.start_worker()
    nightly.worker_reads()
    with nightly.node.connection() as connection:
        connection.default_channel.queue_declare("theirs", durable=False, auto_delete=False)
    after = signature("theirs.next", immutable=True).set(queue="theirs")
    nightly.send_with_celery([cloud_event(login, on=True, minute=0)], link=after)
    eventually(lambda: nightly.flags() == {login: True}, seconds=20, describe="the call")
    nightly.comes_to_rest()
    with nightly.node.connection() as connection:
        assert connection.default_channel.queue_delete("theirs") == 0
    assert nightly.letters() == []


def test_a_foreign_message_returns_when_the_ledger_could_not_record_its_dead_letter(
    rabbit: RabbitNode, tmp_path: Path, orphan_guard: OrphanGuard, emulator: EmulatorControl, login_keys: str
) -> None:
    with EmbeddedRedis(tmp_path, name="away", guard=orphan_guard) as server:
        settings = {
            "REDIS_URL": server.url,
            "BROKER_URL": rabbit.url,
            "LOGIN_KEYS": login_keys,
            "FLINKS_BASE_URL": emulator.base_url,
            "FLINKS_AUTH_KEY": EMULATOR_KEY,
        }
        with BriefStack(tmp_path / "stack", isolated=True, overrides=settings, workers=1) as stack:
            services = build_services(stack.settings())
            nightly = OnRabbit(stack, emulator, services, services.redis, rabbit)
            nightly.worker_reads()
            server.kill()
            for queue in ("account-events", "refresh"):
                _put(nightly, b"no event", queue)
            (worker,) = stack.workers
            for word in ("message_not_kept_yet", "ledger_unreachable"):
                eventually(lambda: word in worker.output(), seconds=30, describe=word)  # noqa: B023
            server.start()
            eventually(lambda: _seen(nightly) >= 2, seconds=30, describe="both letters")
            _works(nightly)
            services.redis.close()
