"""Events are taken in whatever the pool is busy with, and what the watchdog sees of RabbitMQ is true."""

import amqp
import pytest

from tests.integration.working.conftest import cloud_event, new_logins
from tests.rabbitmq.conftest import OnRabbit
from tests.rabbitmq.node import RabbitNode
from tests.waiting import eventually
from worker.executor.broker_probe import RabbitProbe
from worker.executor.rabbit import connect, declare


@pytest.fixture
def settings_for_workers() -> dict[str, str]:
    return {"FLINKS_TIMEOUT_SECONDS": "60"}


def test_an_event_is_recorded_while_a_reconciler_holds_the_only_slot(nightly: OnRabbit) -> None:
    """Before, an event was a task of the pool's: it waited for the end of a reconciler's slice, and its last call."""
    first, second = new_logins(2)
    nightly.emulator.faults({"knob": "latency", "milliseconds": 30_000})
    worker = nightly.stack.start_worker(concurrency=1)
    nightly.send_with_celery([cloud_event(first, on=True, minute=0)])
    eventually(lambda: nightly.services.views.status()["instances"]["toolbox"]["in_flight"] == 1, describe="the call")
    nightly.send_with_celery([cloud_event(second, on=True, minute=0)])
    nightly.send_plain([cloud_event(second, on=False, minute=1)])
    eventually(lambda: nightly.tally().get("recorded", 0) == 3, seconds=8, describe="that both are recorded")
    assert nightly.flags() == {}, "the first call is over: no slot was held"
    worker.kill()


def test_the_probe_tells_what_waits_and_that_a_killed_broker_is_away(rabbit: RabbitNode) -> None:
    probe = RabbitProbe(rabbit.url)
    assert probe.queued(["account-events"]) == 0, "there is no such queue yet"
    with connect(rabbit.url) as connection:
        declare(connection)
        connection.default_channel.basic_publish_confirm(amqp.Message("x"), routing_key="account-events")
    assert probe.queued(["account-events", "refresh"]) == 1
    rabbit.kill()
    assert probe.queued(["account-events"]) is None
    is_away = not probe.answers()
    rabbit.start()
    assert is_away
    eventually(probe.answers, seconds=10, describe="its answer")
    probe.close()
