"""Kills at any point: no event is lost or applied wrongly, and work continues within seconds."""

import os
import random
import signal
from pathlib import Path

import pytest

from sandbox.emulator.remote import EmulatorControl
from sandbox.stack import EmbeddedRedis, OrphanGuard
from sandbox.stack.stack import EMULATOR_KEY
from tests.brief_stack import BriefStack
from tests.integration.celery_worker.conftest import Nightly, histories, new_logins
from tests.waiting import eventually
from worker.services import build_services


@pytest.fixture
def settings_for_workers() -> dict[str, str]:
    return {"FLINKS_TIMEOUT_SECONDS": "1", "FLINKS_SETTLE_SECONDS": "2", "FLINKS_CALLS_PER_SECOND": "500"}


def _check(nightly: Nightly, newest: dict[str, bool], events: int) -> None:
    assert nightly.flags() == newest
    tally = nightly.tally()
    ended = sum(tally.get(name, 0) for name in ("applied_on", "applied_off", "superseded", "duplicate"))
    assert ended == tally["recorded"] >= events
    assert nightly.letters() == []
    stats = nightly.emulator.stats()
    assert stats.overlaps == 0, "P4: two calls in flight for one login"
    assert stats.load.max_in_flight <= 64, "P6: too many in flight"
    assert stats.load.max_calls_per_second <= 600, "P6: too many calls in a second"


def test_a_worker_killed_in_the_middle_of_two_thousand_events_loses_none(nightly: Nightly) -> None:
    events, newest = histories(new_logins(850), random.Random(1))
    assert len(events) >= 2000
    nightly.emulator.faults({"knob": "latency", "milliseconds": 20})
    first = nightly.stack.start_worker()
    nightly.send(events[:1500])
    eventually(lambda: nightly.tally().get("calls", 0) > 100, seconds=20, describe="the first calls")
    nightly.send(events[1500:])
    first.kill()
    assert not nightly.is_at_rest(), "killed too late to prove anything"
    nightly.stack.start_worker()
    nightly.comes_to_rest(seconds=30)
    _check(nightly, newest, len(events))
    assert nightly.tally()["leases_lost"] > 0, "nothing was in flight when it was killed"


def test_a_killed_child_of_the_pool_costs_one_lease(nightly: Nightly) -> None:
    events, newest = histories(new_logins(300), random.Random(2))
    nightly.emulator.faults({"knob": "latency", "milliseconds": 100})
    worker = nightly.stack.start_worker()
    nightly.send(events)
    eventually(lambda: nightly.tally().get("calls", 0) > 20, seconds=20, describe="the first calls")
    for pid in worker.children():
        os.kill(pid, signal.SIGKILL)
    nightly.comes_to_rest(seconds=40)
    _check(nightly, newest, len(events))


def test_a_warm_stop_leaves_no_lease_behind(nightly: Nightly) -> None:
    events, newest = histories(new_logins(400), random.Random(3))
    nightly.emulator.faults({"knob": "latency", "milliseconds": 300})
    worker = nightly.stack.start_worker()
    nightly.send(events)
    eventually(lambda: nightly.tally().get("calls", 0) > 20, seconds=20, describe="the first calls")
    assert nightly.stack.stop_process(worker) == 0
    status = nightly.services.views.status()
    assert status["instances"]["toolbox"]["in_flight"] == 0
    assert status["workers"] == []
    nightly.stack.start_worker()
    nightly.comes_to_rest(seconds=30)
    _check(nightly, newest, len(events))
    assert nightly.tally().get("leases_lost", 0) == 0


def test_redis_killed_and_restarted_under_load_loses_no_synced_event(
    tmp_path: Path,
    orphan_guard: OrphanGuard,
    emulator: EmulatorControl,
    login_keys: str,
    settings_for_workers: dict[str, str],
) -> None:
    with EmbeddedRedis(tmp_path, name="killed", appendfsync="always", guard=orphan_guard) as server:
        overrides = settings_for_workers | {
            "REDIS_URL": server.url,
            "LOGIN_KEYS": login_keys,
            "FLINKS_BASE_URL": emulator.base_url,
            "FLINKS_AUTH_KEY": EMULATOR_KEY,
        }
        with BriefStack(tmp_path / "stack", isolated=True, overrides=overrides, workers=2) as stack:
            services = build_services(stack.settings())
            nightly = Nightly(stack, emulator, services, services.redis)
            events, newest = histories(new_logins(400), random.Random(4))
            emulator.faults({"knob": "latency", "milliseconds": 50})
            for part in range(2):
                nightly.send(events[part::2])
                before = nightly.tally().get("calls", 0)
                eventually(lambda: nightly.tally().get("calls", 0) > before, seconds=30, describe="calls")  # noqa: B023
                server.restart()
            nightly.comes_to_rest(seconds=60)
            _check(nightly, newest, len(events))
            assert all(worker.is_running for worker in stack.workers), "a worker died of the loss of Redis"
            services.redis.close()
