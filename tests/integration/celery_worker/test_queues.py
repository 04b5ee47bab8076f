"""`-Q` decides which queues a worker reads, those of Celery and ours."""

from celery import Celery

from tests.integration.celery_worker.conftest import Nightly, new_logins
from tests.integration.celery_worker.hooked import start_hooked
from tests.waiting import eventually
from worker.broker.celery_config import kombu_address
from worker.operations.waiting import unrecorded


def _send(nightly: Nightly, login: str, queue: str) -> None:
    with Celery(broker=kombu_address(nightly.stack.environment["REDIS_URL"])[0], set_as_current=False) as producer:
        kwargs = {"login_id": login, "occurred_at": "2026-11-22T10:00:00Z"}
        producer.send_task("account.linked", kwargs=kwargs, queue=queue)


def test_only_a_worker_that_consumes_the_event_queue_takes_events(nightly: Nightly) -> None:
    first, second = new_logins(2)
    for queue in ("account-events", "refresh"):
        _send(nightly, first if queue == "account-events" else second, queue)
    refresh = start_hooked(nightly.stack, options=("-Q", "refresh"))
    eventually(lambda: nightly.flags() == {second: True}, describe="the call")
    assert nightly.redis.llen("account-events") == unrecorded(nightly.redis) == 1
    events = start_hooked(nightly.stack, options=("-Q", "account-events", "-n", "events@%h"), is_ready=False)
    eventually(lambda: nightly.flags() == {first: True, second: True}, describe="the other call")
    assert refresh.is_running
    assert events.is_running
    nightly.comes_to_rest()


def test_the_event_queue_is_read_only_by_a_script_that_cannot_lose_messages(nightly: Nightly) -> None:
    login, end = new_logins(2)
    _send(nightly, login, "account-events")
    popped = set()
    with nightly.redis.monitor() as monitor:
        start_hooked(nightly.stack)
        eventually(lambda: nightly.flags() == {login: True}, seconds=20, describe="the call")
        nightly.redis.get(end)
        for command in monitor.listen():
            name, *arguments = command["command"].split()
            if name in {"BRPOP", "RPOP"} and command["client_type"] != "lua":
                popped |= set(arguments)
            if end in arguments:
                break
    assert "refresh" in popped
    assert "account-events" not in popped
