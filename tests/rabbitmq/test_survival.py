"""Kills of workers, children or the broker: no event is lost on RabbitMQ or applied wrongly."""

import os
import random
import signal
from typing import Any

import pytest

from sandbox.stack import ManagedProcess
from tests.integration.celery_worker.conftest import histories, new_logins
from tests.rabbitmq.conftest import OnRabbit
from tests.waiting import eventually


@pytest.fixture
def settings_for_workers() -> dict[str, str]:
    return {"FLINKS_TIMEOUT_SECONDS": "1", "FLINKS_SETTLE_SECONDS": "2"}


def _recorded(nightly: OnRabbit) -> int:
    return nightly.tally().get("recorded", 0)


def _check(nightly: OnRabbit, newest: dict[str, bool], sent: int) -> None:
    assert nightly.flags() == newest
    tally = nightly.tally()
    ended = sum(tally.get(name, 0) for name in ("applied_on", "applied_off", "superseded", "duplicate"))
    assert ended == tally["recorded"] >= sent
    assert nightly.letters() == []
    assert nightly.emulator.stats().overlaps == 0, "two calls in flight for one login"


def test_two_thousand_events_survive_kills_of_workers_children_and_the_broker(nightly: OnRabbit) -> None:
    """The broker is unavailable at the start, too."""
    chance = random.Random(5)
    events, newest = histories(new_logins(900), chance)
    assert len(events) >= 2000
    nightly.emulator.faults({"knob": "latency", "milliseconds": 20})
    nightly.node.kill()
    workers = [nightly.stack.start_worker(ready=lambda worker: "broker_unreachable" in worker.output())]
    nightly.node.start()
    nightly.worker_reads()
    for number in range(8):
        before = _recorded(nightly)
        send = nightly.send_plain if number % 2 else nightly.send_with_celery
        if number == 4:
            _send_and_kill_the_broker(nightly, workers[-1], events[4::8])
        else:
            send(events[number::8])
        eventually(lambda: _recorded(nightly) > before, seconds=30, describe="that events are taken in")  # noqa: B023
        if number % 3 == 1:
            workers[-1].kill()
            workers.append(nightly.stack.start_worker())
        elif children := workers[-1].children():
            os.kill(chance.choice(children), signal.SIGKILL)
    nightly.comes_to_rest(seconds=60)
    _check(nightly, newest, len(events))
    assert workers[-1].is_running, workers[-1].tail()


def _send_and_kill_the_broker(nightly: OnRabbit, worker: ManagedProcess, events: list[dict[str, Any]]) -> None:
    """Messages of both kinds are confirmed, and wait in the queue or unacknowledged, when the broker dies."""
    worker.signal(signal.SIGSTOP)
    nightly.send_with_celery(events[::2])
    nightly.send_plain(events[1::2])
    nightly.node.kill()
    nightly.node.start()
    worker.signal(signal.SIGCONT)
