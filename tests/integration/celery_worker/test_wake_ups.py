"""A worker keeps a reconciler that waits for events, and whatever is killed, the next event waits only seconds."""

import os
import signal

import pytest
from celery import Celery

from tests.integration.celery_worker.conftest import Nightly, cloud_event, new_logins
from tests.waiting import eventually
from worker.broker.celery_config import kombu_address
from worker.redis_client.connect import server_ms

KILLED_SECONDS = 15
"""A slot lasts three seconds, a pulse comes each second; the rest is for a busy test machine."""


def _start_worker(nightly: Nightly) -> None:
    nightly.stack.start_worker()
    eventually(lambda: nightly.redis.zcard("nightly:reconcilers") == 1, describe="a waiting reconciler")


def _send(nightly: Nightly, *, seconds: float) -> None:
    before = nightly.tally().get("applied_on", 0)
    nightly.send([cloud_event(login, on=True, minute=0) for login in new_logins(1)])
    eventually(lambda: nightly.tally().get("applied_on", 0) > before, seconds=seconds, describe="the call")


def test_events_of_an_idle_system_need_no_message(nightly: Nightly) -> None:
    _start_worker(nightly)
    with Celery(broker=kombu_address(nightly.stack.environment["REDIS_URL"])[0], set_as_current=False) as client:
        (before,) = client.control.inspect(timeout=2).stats().values()
        for _ in range(5):
            _send(nightly, seconds=10)
        (after,) = client.control.inspect(timeout=2).stats().values()
    taken = [stats["total"].get("refresh.reconcile", 0) for stats in (before, after)]
    assert taken[1] - taken[0] <= 1, "a slice may have ended meanwhile"


def _waiting_reconcilers(nightly: Nightly) -> set[str]:
    """Return the ids of their connections at Redis."""
    return {client["id"] for client in nightly.redis.client_list() if client["cmd"] == "blpop"}


@pytest.mark.parametrize("killed", ["children", "worker"])
def test_the_next_event_after_a_kill_is_called_within_seconds(nightly: Nightly, killed: str) -> None:
    _start_worker(nightly)
    _send(nightly, seconds=10)
    (worker,) = nightly.stack.workers
    waiting = eventually(lambda: _waiting_reconcilers(nightly), describe="a waiting reconciler")
    if killed == "worker":
        nightly.stack.start_worker()
        worker.kill()
    else:
        for pid in worker.children():
            os.kill(pid, signal.SIGKILL)
    # Until Redis has seen that they are gone, it may still claim an event for them, and that costs the lease.
    eventually(lambda: not waiting & _waiting_reconcilers(nightly), seconds=5, describe="Redis sees that it is dead")
    _send(nightly, seconds=KILLED_SECONDS)


def test_a_pulse_frees_the_slot_of_a_killed_process_before_it_expires(nightly: Nightly) -> None:
    _start_worker(nightly)

    def is_freed_early() -> bool:
        eventually(lambda: nightly.redis.zcard("nightly:reconcilers") == 1, describe="a waiting reconciler")
        ((member, free_at),) = nightly.redis.zrange("nightly:reconcilers", 0, -1, withscores=True)
        os.kill(int(member.split(b"|")[1].split(b"-")[0]), signal.SIGKILL)
        eventually(lambda: nightly.redis.zscore("nightly:reconcilers", member) is None, describe="a free slot")
        return bool(server_ms(nightly.redis) < free_at)

    assert any(is_freed_early() for _ in range(4)), "on a busy machine, a pulse may come late"


def test_a_worker_with_one_slot_keeps_no_reconciler_and_calls_at_once(nightly: Nightly) -> None:
    nightly.stack.start_worker(concurrency=1)
    for _ in range(2):
        _send(nightly, seconds=10)
        eventually(lambda: not nightly.redis.zcard("nightly:reconcilers"), seconds=5, describe="the end of its slice")
