"""Hostile messages in RabbitMQ, and queues that an operator deletes there, stop no worker."""

import json
from typing import Any

import amqp
import pytest
from celery import Celery

from sandbox.stack import ManagedProcess
from tests.bombs import PEAK_MIB, bombs, peak_mib
from tests.integration.celery_worker.conftest import cloud_event, new_logins
from tests.ledger_calls import list_letters
from tests.rabbitmq.conftest import OnRabbit
from tests.waiting import eventually
from worker.broker.rabbitmq import look
from worker.events.channels import QUEUES

HEADERS = {"task": "account.linked", "id": "id-1"}
CONTROL = "celery.pidbox"


def publish(nightly: OnRabbit, body: bytes, marks: dict[str, str], *, exchange: str = "", key: str = "") -> None:
    """Publish one decompression bomb; its compression is named in a header or in the properties."""
    properties: dict[str, Any] = {"content_type": "application/json", "content_encoding": "utf-8"}
    properties |= {name.replace("-", "_"): value for name, value in marks.items() if name != "compression"}
    is_marked = "compression" in marks
    properties["application_headers"] = HEADERS | marks if is_marked else {}
    with nightly.node.connection() as connection:
        connection.default_channel.basic_publish(amqp.Message(body, **properties), exchange, routing_key=key)


def works(nightly: OnRabbit, worker: ManagedProcess, *, seconds: float = 20) -> None:
    login = new_logins(1)[0]
    nightly.send_plain([cloud_event(login, on=True, minute=0)])
    eventually(lambda: nightly.flags().get(login), seconds=seconds, describe="the call after all that")
    assert worker.is_running, worker.tail()


def test_no_message_is_decompressed_without_a_bound_on_any_queue_or_exchange(nightly: OnRabbit) -> None:
    worker = nightly.stack.start_worker()
    nightly.worker_reads()
    for body, marks in bombs().values():
        publish(nightly, body, marks, exchange=CONTROL)
        for queue in QUEUES:
            publish(nightly, body, marks, key=queue)
    sent = len(QUEUES) * len(bombs())

    def seen() -> int:
        return sum(letter.seen for letter in list_letters(nightly.services.letters))

    eventually(lambda: seen() >= sent or not worker.is_running, seconds=60, describe=f"{sent} letters")
    works(nightly, worker)
    assert peak_mib(worker) < PEAK_MIB
    assert seen() == sent


def test_no_command_changes_a_worker_and_no_reply_goes_to_a_queue_that_its_sender_names(nightly: OnRabbit) -> None:
    worker = nightly.stack.start_worker()
    nightly.worker_reads()
    children = worker.children()
    commands = {"cancel_consumer": {"queue": "refresh"}, "pool_shrink": {"n": 2}, "shutdown": {}}
    with Celery(broker=nightly.node.url, set_as_current=False) as app:
        for name, arguments in commands.items():
            (reply,) = app.control.broadcast(name, arguments, reply=True, timeout=5, limit=1)
            assert "remote control is off" in repr(reply)
        body = {"method": "ping", "reply_to": {"exchange": "account-events", "routing_key": "account-events"}}
        marks = {"content-type": "application/json"}
        for document in (body, 17, [], {"method": []}):
            publish(nightly, json.dumps(document).encode(), marks, exchange=CONTROL)
        works(nightly, worker)
        assert "broker" not in repr(eventually(app.control.inspect(timeout=2).stats))
    assert nightly.letters() == []
    assert worker.children() == children


@pytest.mark.parametrize("is_made_again", [False, True])
def test_queues_that_an_operator_deletes_are_consumed_again(nightly: OnRabbit, is_made_again: bool) -> None:  # noqa: FBT001
    worker = nightly.stack.start_worker()
    nightly.worker_reads()
    works(nightly, worker)
    with nightly.node.connection() as connection:
        for name in QUEUES:
            connection.default_channel.queue_delete(name)
            if is_made_again:
                connection.default_channel.queue_declare(name, durable=True, auto_delete=False)

    def are_read() -> bool:
        states = look(nightly.node.url)
        return all(state and state.consumers for state in states.values())

    eventually(are_read, seconds=60, describe="a reader of each queue")
    works(nightly, worker, seconds=40)


def test_only_event_tasks_run_from_the_event_queue(nightly: OnRabbit) -> None:
    """Passed on to the worker's own queues, it was sent with the worker's rights: its headers could name any queue."""
    worker = nightly.stack.start_worker()
    nightly.worker_reads()
    with nightly.node.connection() as connection:
        channel = connection.default_channel
        theirs = channel.queue_declare("", exclusive=True).queue
        for task in ("refresh.reconcile", "backfill.feed"):
            headers = {"task": task, "id": "id-1", "CC": [theirs]}
            properties = {"content_type": "application/json", "content_encoding": "utf-8"}
            body = amqp.Message(b"[[], {}, {}]", application_headers=headers, **properties)
            channel.basic_publish(body, "account-events", routing_key="account-events")
        works(nightly, worker)
        eventually(lambda: len(nightly.letters()) == 2, describe="a letter for each")
        assert channel.queue_declare(theirs, passive=True).message_count == 0
    assert {reason for _, reason in nightly.letters()} == {"message: its task is not an event"}
