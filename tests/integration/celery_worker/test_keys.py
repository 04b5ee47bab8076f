"""A login that only one worker can open is called by it soon, even if others take its wake-ups first."""

import json
import time

from celery import Celery

from tests.integration.celery_worker.conftest import Nightly, cloud_event, new_logins
from tests.waiting import eventually
from worker.broker.celery_config import kombu_address
from worker.services import build_services
from worker.vault.vault import new_key

ROUNDS = 8


def test_a_login_that_one_of_three_idle_workers_can_open_is_called_soon(nightly: Nightly) -> None:
    for _ in range(2):
        nightly.stack.start_worker()
    nightly.stack.environment["LOGIN_KEYS"] = f"{new_key()},{nightly.stack.environment['LOGIN_KEYS']}"
    nightly.stack.start_worker()
    services = build_services(nightly.stack.settings())
    waits = []
    try:
        for login in new_logins(ROUNDS):
            services.intake.accept_bodies([json.dumps(cloud_event(login, on=True, minute=0)).encode()])
            began = time.monotonic()
            eventually(lambda login=login: nightly.flags().get(login), describe="its call")
            waits.append(time.monotonic() - began)
    finally:
        services.redis.close()
    assert max(waits) < 4, f"a pulse comes each second, and each worker passes on what it lacks the key for: {waits}"
    assert nightly.letters() == []
    assert not nightly.redis.exists("nightly:missing-keys")
    assert services.views.gate_changes("toolbox") == []


def test_a_wake_up_for_a_missing_key_is_passed_on_a_limited_number_of_times(
    nightly: Nightly,
) -> None:
    nightly.stack.start_worker()
    with Celery(broker=kombu_address(nightly.stack.environment["REDIS_URL"])[0], set_as_current=False) as client:

        def taken() -> int:
            (stats,) = client.control.inspect(timeout=2).stats().values()
            return int(stats["total"].get("refresh.reconcile", 0))

        eventually(lambda: nightly.redis.zcard("nightly:reconcilers"), describe="the reconciler that a worker keeps")
        before = taken()
        for key, hops in (("0badcafe", 3), ("0badcafe", "many"), (nightly.services.vault.key_ids[0], 3)):
            client.send_task("refresh.reconcile", queue="refresh", kwargs={"key": key, "hops": hops})
        eventually(lambda: taken() - before >= 6, describe="three messages and three more")
        nightly.comes_to_rest()
        assert taken() - before == 6
        client.send_task("refresh.reconcile", queue="refresh", kwargs={"key": "0badcafe", "hops": 10**12})
        eventually(lambda: taken() - before >= 6 + 21, describe="the one with too many hops, and twenty more")
        assert taken() - before == 6 + 21
    assert nightly.redis.llen("refresh") == 0


def test_a_key_that_no_worker_holds_is_reported_and_a_worker_with_that_key_makes_the_calls(nightly: Nightly) -> None:
    nightly.stack.start_worker()
    nightly.stack.environment["LOGIN_KEYS"] = f"{new_key()},{nightly.stack.environment['LOGIN_KEYS']}"
    services = build_services(nightly.stack.settings())
    (login,) = new_logins(1)
    try:
        services.intake.accept_bodies([json.dumps(cloud_event(login, on=True, minute=0)).encode()])
    finally:
        services.redis.close()
    missing = eventually(lambda: nightly.services.views.status()["missing_keys"], describe="the key's absence")
    assert [key["key_id"] for key in missing] == [services.vault.key_ids[0]]
    nightly.stack.start_worker()
    nightly.comes_to_rest(seconds=40)
    assert nightly.flags() == {login: True}
    assert nightly.services.views.status()["missing_keys"] == []
    assert nightly.letters() == []
