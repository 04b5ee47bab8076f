"""An event that kills its readers is set aside after three deaths, and its neighbours are not."""

from collections.abc import Callable, Iterator, Sequence

import pytest
from celery import Celery

from tests.integration.celery_worker.conftest import Nightly, cloud_event, new_logins
from tests.integration.celery_worker.hooked import start_hooked
from tests.waiting import eventually
from worker.broker.celery_config import kombu_address
from worker.intake.poison import DEATHS, Deliveries

POISON = "9d2b4a5e-0000-4000-8000-00000000dead"
DEADLY = f"""
import os, signal
from celery.concurrency.asynpool import AsynPool
from worker.intake import stream_group as entry_group
from worker.events.contract import LifecycleEvent
entry_group.TAKE_OVER_AFTER_MS = 200
AsynPool.timers = property(lambda pool: {{pool.maintain_pool: 0.2}})  # it looks for dead children every 5 s
def deadly(way):
    original = getattr(LifecycleEvent, way)
    def parse(*args, **kwargs):
        if "{POISON}" in repr((args, kwargs)):
            with open("deaths", "a") as deaths:
                deaths.write("x")
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **kwargs)
    setattr(LifecycleEvent, way, parse)
deadly("from_cloudevent")
deadly("from_celery")
"""


@pytest.fixture
def deaths(nightly: Nightly) -> Iterator[list[int]]:
    """How often the poison killed, filled when the test is over."""
    counted: list[int] = []
    yield counted
    assert len((nightly.stack.working_folder / "deaths").read_text()) == DEATHS


def send_through_celery(nightly: Nightly, logins: Sequence[str]) -> None:
    with Celery(broker=kombu_address(nightly.stack.environment["REDIS_URL"])[0]) as producer:
        for login in logins:
            kwargs = {"login_id": login, "occurred_at": "2026-11-22T10:00:00Z"}
            producer.send_task("account.linked", kwargs=kwargs, queue="account-events")


def send_on_the_stream(nightly: Nightly, logins: Sequence[str]) -> None:
    nightly.send([cloud_event(login, on=True, minute=0) for login in logins])


@pytest.mark.parametrize("send", [send_on_the_stream, send_through_celery])
@pytest.mark.usefixtures("deaths")
def test_only_the_message_that_kills_workers_is_set_aside(
    nightly: Nightly, send: Callable[[Nightly, Sequence[str]], None]
) -> None:
    """Each worker is killed with SIGKILL between reading and recording, and no event that it had read is lost."""
    logins = new_logins(20)
    send(nightly, [*logins[:10], POISON, *logins[10:]])
    for _ in range(DEATHS):
        worker = start_hooked(nightly.stack, DEADLY, is_ready=False)
        eventually(lambda: not worker.is_running, seconds=30, describe="the death of a worker")  # noqa: B023
        nightly.stack.stop_process(worker)
    worker = start_hooked(nightly.stack, DEADLY)
    eventually(nightly.letters, seconds=30, describe="the letter")
    nightly.comes_to_rest()
    assert nightly.letters() == [("invalid_event", Deliveries.REASON)]
    assert nightly.flags() == dict.fromkeys(logins, True)
    assert worker.is_running
    assert nightly.redis.keys("nightly:in-hand:*") == []


@pytest.mark.usefixtures("deaths")
def test_a_poison_message_that_celery_reads_kills_only_children_and_is_set_aside(nightly: Nightly) -> None:
    (login,) = new_logins(1)
    worker = start_hooked(nightly.stack, DEADLY)
    with Celery(broker=kombu_address(nightly.stack.environment["REDIS_URL"])[0]) as producer:
        for each in (POISON, login):
            kwargs = {"login_id": each, "occurred_at": "2026-11-22T10:00:00Z"}
            producer.send_task("account.linked", kwargs=kwargs, queue="backfill")
    eventually(nightly.letters, seconds=60, describe="the letter")
    nightly.comes_to_rest()
    assert nightly.letters() == [("invalid_event", Deliveries.REASON)]
    assert nightly.flags() == {login: True}
    assert worker.is_running
