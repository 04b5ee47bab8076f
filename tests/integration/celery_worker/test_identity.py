"""Each start of a worker and each slice has an identity of its own, even if names and messages repeat."""

from celery import Celery

from tests.integration.celery_worker.conftest import Nightly, cloud_event, new_logins
from tests.waiting import eventually
from worker.broker.celery_config import kombu_address


def test_a_reconcile_message_that_is_delivered_twice_makes_two_reconcilers(nightly: Nightly) -> None:
    nightly.emulator.faults({"knob": "latency", "milliseconds": 2000})
    nightly.stack.start_worker(concurrency=4)
    nightly.send([cloud_event(login, on=True, minute=0) for login in new_logins(90)])
    eventually(lambda: nightly.redis.zcard("nightly:reconcilers") == 1, describe="the first reconciler")
    with Celery(broker=kombu_address(nightly.stack.environment["REDIS_URL"])[0], set_as_current=False) as client:
        for _ in range(2):
            client.send_task("refresh.reconcile", queue="refresh", task_id="one-message")
    eventually(lambda: nightly.redis.zcard("nightly:reconcilers") == 3, describe="two reconcilers beside it")


def test_attempts_name_the_worker_and_not_its_process_start(nightly: Nightly) -> None:
    (login,) = new_logins(1)
    nightly.emulator.faults({"knob": "server_error", "times": 1})
    nightly.stack.start_worker()
    nightly.send([cloud_event(login, on=True, minute=0)])

    def attempts() -> list[dict[str, object]]:
        found = nightly.services.views.login(nightly.reference(login))
        return found["attempts"] if found else []

    name = str(eventually(attempts, describe="an attempt")[0]["worker"])
    (identity,) = (raw.decode() for raw in nightly.redis.hkeys("nightly:workers"))
    assert name == identity.rpartition("-")[0]
    assert name.rpartition("#")[2].isdecimal()
