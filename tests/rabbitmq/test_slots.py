"""Events are recorded while the pool is busy, and every wait for RabbitMQ is bounded."""

import socket

import amqp
import pytest

from tests.integration.celery_worker.conftest import cloud_event, new_logins
from tests.rabbitmq.conftest import OnRabbit
from tests.rabbitmq.node import RabbitNode
from tests.waiting import eventually
from worker.broker.probe import RabbitProbe
from worker.broker.rabbitmq import connect, declare
from worker.celery_worker.patches import py_amqp as amqp_guard
from worker.celery_worker.patches.py_amqp import guard_amqp


@pytest.fixture
def settings_for_workers() -> dict[str, str]:
    return {"FLINKS_TIMEOUT_SECONDS": "60"}


def test_an_event_is_recorded_while_a_reconciler_holds_the_only_slot(nightly: OnRabbit) -> None:
    """Before, an event was a task of the pool: it waited for the end of a reconciler's slice and its last call."""
    first, second = new_logins(2)
    nightly.emulator.faults({"knob": "latency", "milliseconds": 30_000})
    worker = nightly.stack.start_worker(concurrency=1)
    nightly.send_with_celery([cloud_event(first, on=True, minute=0)])
    eventually(lambda: nightly.redis.zcard("nightly:leases:toolbox") == 1, describe="the call")
    nightly.send_with_celery([cloud_event(second, on=True, minute=0)])
    nightly.send_plain([cloud_event(second, on=False, minute=1)])
    eventually(lambda: nightly.tally().get("recorded", 0) == 3, seconds=8, describe="that both are recorded")
    assert nightly.flags() == {}, "the first call is over: no slot was held"
    worker.kill()


def test_the_probe_counts_waiting_messages_and_recovers_from_a_lost_connection(rabbit: RabbitNode) -> None:
    probe = RabbitProbe(rabbit.url)
    assert probe.queued(["account-events"]) == 0, "there is no such queue yet"
    with connect(rabbit.url) as connection:
        declare(connection)
        connection.default_channel.basic_publish_confirm(amqp.Message("x"), routing_key="account-events")
    assert probe.queued(["account-events", "refresh"]) == 1
    probe._connection.connection.transport.sock.shutdown(socket.SHUT_RDWR)
    assert not probe.answers()
    assert probe.queued(["account-events", "refresh"]) == 1
    probe.close()


def test_the_probe_recognises_an_unavailable_broker() -> None:
    assert RabbitProbe("amqp://127.0.0.1:1//").queued(["refresh"]) is None


def test_the_wait_for_a_frozen_broker_is_bounded(rabbit: RabbitNode, monkeypatch: pytest.MonkeyPatch) -> None:
    guard_amqp()
    monkeypatch.setattr(amqp_guard, "ANSWER_SECONDS", 0.3)
    with rabbit.connection() as connection:
        channel = connection.default_channel
        with rabbit.frozen(), pytest.raises(TimeoutError):
            channel.queue_declare("refresh", durable=True)
        connection.collect()
