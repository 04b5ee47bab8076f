"""A worker stops within bounds in any state of Redis and Flinks, and loses nothing."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox.emulator.remote import EmulatorControl
from sandbox.stack import EmbeddedRedis, OrphanGuard
from sandbox.stack.stack import EMULATOR_KEY
from tests.brief_stack import BriefStack
from tests.integration.celery_worker.conftest import Nightly, cloud_event, long_form, new_logins
from tests.integration.celery_worker.hooked import start_hooked
from tests.waiting import eventually
from worker.services import build_services

TIMEOUT_SECONDS, MARGIN_SECONDS = 2, 4


@dataclass
class Own:
    """A Nightly with a Redis of its own, one worker, and calls in flight."""

    nightly: Nightly
    server: EmbeddedRedis

    def end_seconds(self) -> float:
        """Return the seconds until the worker ends, or fail."""
        began_at = time.monotonic()
        (worker,) = self.nightly.stack.workers
        eventually(lambda: not worker.is_running, seconds=60, describe="the end of the worker")
        return time.monotonic() - began_at


@pytest.fixture
def own(tmp_path: Path, orphan_guard: OrphanGuard, emulator: EmulatorControl, login_keys: str) -> Iterator[Own]:
    with EmbeddedRedis(tmp_path, name="own", guard=orphan_guard) as server:
        overrides = {
            "REDIS_URL": server.url,
            "LOGIN_KEYS": login_keys,
            "FLINKS_BASE_URL": emulator.base_url,
            "FLINKS_AUTH_KEY": EMULATOR_KEY,
            "FLINKS_TIMEOUT_SECONDS": str(TIMEOUT_SECONDS),
            "FLINKS_SETTLE_SECONDS": "1",
        }
        with BriefStack(tmp_path / "stack", isolated=True, overrides=overrides, workers=0) as stack:
            start_hooked(stack, f"shutdown.MARGIN_SECONDS = {MARGIN_SECONDS}")
            services = build_services(stack.settings())
            nightly = Nightly(stack, emulator, services, services.redis)
            nightly.send([cloud_event(login, on=True, minute=0) for login in new_logins(1)])
            nightly.comes_to_rest()
            emulator.faults({"knob": "latency", "milliseconds": 1500})
            nightly.send([cloud_event(login, on=True, minute=0) for login in new_logins(100)])
            eventually(lambda: emulator.stats().load.in_flight > 20, describe="calls in flight")
            yield Own(nightly, server)
            services.redis.close()


def test_a_signal_to_the_process_group_interrupts_no_call_and_no_new_call_begins(own: Own) -> None:
    """As a shell, systemd or honcho sends it."""
    (worker,) = own.nightly.stack.workers
    calls = own.nightly.tally()["calls"]
    os.killpg(worker.pid, signal.SIGTERM)
    assert own.end_seconds() < TIMEOUT_SECONDS + MARGIN_SECONDS
    assert worker.exit_code == 0
    assert own.nightly.tally().get("leases_lost", 0) == 0
    toolbox = own.nightly.services.views.status()["instances"]["toolbox"]
    assert (toolbox["in_flight"], toolbox["due_live"] > 20) == (0, True)
    assert own.nightly.tally()["applied_on"] >= calls
    assert own.nightly.emulator.stats().by_ending.keys() == {"answered"}


@pytest.mark.parametrize("trouble", ["silent", pytest.param("gone", marks=long_form)])
def test_a_worker_stops_in_time_while_redis_is(own: Own, trouble: str) -> None:
    (worker,) = own.nightly.stack.workers
    if trouble == "gone":
        own.server.kill()
    else:
        os.kill(own.server.pid, signal.SIGSTOP)
    worker.ask_to_stop()
    seconds = own.end_seconds()
    if trouble == "gone":
        own.server.start()
    else:
        os.kill(own.server.pid, signal.SIGCONT)
    assert seconds < TIMEOUT_SECONDS + MARGIN_SECONDS + 5
    own.nightly.emulator.faults()
    own.nightly.stack.start_worker()
    own.nightly.comes_to_rest(seconds=60)
    assert len(own.nightly.flags()) == 101


@pytest.mark.parametrize("pool", ["solo", "threads"])
def test_a_worker_whose_tasks_run_in_its_own_process_stops_on_a_signal(nightly: Nightly, pool: str) -> None:
    argv = [sys.executable, "-m", "celery", "-A", "worker", "worker", "--pool", pool]
    worker = nightly.stack.start_process(
        "own-process", argv, ready=lambda _: bool(nightly.redis.hlen("nightly:workers"))
    )
    nightly.send([cloud_event(login, on=True, minute=0) for login in new_logins(1)])
    eventually(lambda: nightly.tally().get("applied_on"), describe="a call")
    assert nightly.stack.stop_process(worker) == 0
    assert '"level": "error"' not in worker.log_path.read_text()
