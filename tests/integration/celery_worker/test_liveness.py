"""A stuck worker ends with a log line that says why; one that merely waits does not."""

import os
import signal
from pathlib import Path

import pytest

from sandbox.emulator.remote import EmulatorControl
from sandbox.stack import EmbeddedRedis, ManagedProcess, OrphanGuard
from sandbox.stack.processes import group_members
from sandbox.stack.stack import EMULATOR_KEY
from tests.brief_stack import BriefStack
from tests.integration.celery_worker.conftest import Nightly, cloud_event, long_form, new_logins
from tests.integration.celery_worker.hooked import start_hooked
from tests.waiting import eventually
from worker.celery_worker.shutdown import EXIT_STUCK
from worker.services import build_services

HANGING_STREAM = """
import time
from worker.intake.redis_stream import StreamReader
StreamReader.step = lambda reader: time.sleep(3600)
"""
DEAF_CONSUMER = """
from kombu.transport.redis import MultiChannelPoller
MultiChannelPoller._register_BRPOP = lambda poller, channel: None
"""
LEFT_FOR_GOOD = """
from celery import signals
from worker.celery_worker.consumer import CarefulConsumer
CarefulConsumer.add_task_queue = lambda *_: None
signals.task_received.connect(lambda sender, **_: sender.call_soon(sender.cancel_task_queue, "refresh"), weak=False)
"""
IMPATIENT = """
background.PULSE_SECONDS = 0.05
background.Watchdog = lambda *parts, **options: watchdog.Watchdog(*parts, **options | {"task_seconds": 2.0})
"""
TELLING = """
import os, pathlib
from celery import signals
signals.task_prerun.connect(lambda **_: pathlib.Path("busy").write_text(str(os.getpid())), weak=False)
"""


@pytest.fixture
def settings_for_workers() -> dict[str, str]:
    return {"FLINKS_TIMEOUT_SECONDS": "1", "FLINKS_SETTLE_SECONDS": "1"}


def _ends(worker: ManagedProcess, part: str, *, seconds: float = 60) -> None:
    group = worker.pid
    eventually(lambda: worker.exit_code is not None, seconds=seconds, describe=f"the end of the worker: {part}")
    assert worker.exit_code == EXIT_STUCK, worker.tail()
    assert f'"event": "worker_stuck", "logger": "worker.celery_worker.watchdog", "part": "{part}"' in worker.output()
    eventually(lambda: not group_members(group), describe="the end of its children")


def test_a_stream_reader_that_hangs_ends_the_worker(nightly: Nightly) -> None:
    _ends(start_hooked(nightly.stack, HANGING_STREAM, is_ready=False), "stream")


def test_a_queue_that_a_worker_has_left_and_cannot_consume_again_ends_it(nightly: Nightly) -> None:
    _ends(start_hooked(nightly.stack, LEFT_FOR_GOOD, is_ready=False), "queues")


@long_form
def test_a_connected_consumer_that_takes_no_message_ends_the_worker(nightly: Nightly) -> None:
    worker = start_hooked(nightly.stack, DEAF_CONSUMER, is_ready=False)
    nightly.send([cloud_event(login, on=True, minute=0) for login in new_logins(3)])
    _ends(worker, "consumer")


@long_form
def test_a_pool_whose_children_are_all_stopped_ends_the_worker(nightly: Nightly) -> None:
    worker = start_hooked(nightly.stack, IMPATIENT)
    for pid in worker.children():
        os.kill(pid, signal.SIGSTOP)
    nightly.send([cloud_event(login, on=True, minute=0) for login in new_logins(3)])
    _ends(worker, "pool", seconds=120)


@long_form
def test_a_child_that_hangs_in_a_task_is_replaced_and_the_worker_continues(nightly: Nightly) -> None:
    nightly.emulator.faults({"knob": "latency", "milliseconds": 900})
    worker = start_hooked(nightly.stack, IMPATIENT + TELLING)
    first, second = new_logins(2)
    nightly.send([cloud_event(first, on=True, minute=0)])
    eventually(lambda: nightly.emulator.stats().load.in_flight, seconds=20, describe="a call")
    os.kill(int((nightly.stack.working_folder / "busy").read_text()), signal.SIGSTOP)
    nightly.emulator.faults()
    eventually(lambda: "child_stuck" in worker.output(), seconds=60, describe="the child's end")
    nightly.send([cloud_event(second, on=True, minute=0)])
    eventually(lambda: len(nightly.flags()) == 2, seconds=60, describe="both calls")
    nightly.comes_to_rest(seconds=60)
    assert worker.is_running


@long_form
def test_an_idle_worker_or_one_without_redis_keeps_running_and_works_when_redis_is_back(
    tmp_path: Path, orphan_guard: OrphanGuard, emulator: EmulatorControl, login_keys: str
) -> None:
    alive = tmp_path / "alive"
    with EmbeddedRedis(tmp_path, name="away", guard=orphan_guard) as server:
        overrides = {
            "REDIS_URL": server.url,
            "LOGIN_KEYS": login_keys,
            "FLINKS_BASE_URL": emulator.base_url,
            "FLINKS_AUTH_KEY": EMULATOR_KEY,
            "HEALTH_FILE": str(alive),
        }
        with BriefStack(tmp_path / "stack", isolated=True, overrides=overrides, workers=0) as stack:
            worker = start_hooked(stack, look_seconds=0.5)
            server.stop()
            for _ in range(16):  # each touch is one look of the watchdog: more looks than the limit for a stuck worker
                alive.unlink(missing_ok=True)
                eventually(alive.exists, seconds=20, describe="a sign of life")
            assert worker.is_running
            server.start()
            services = build_services(stack.settings())
            nightly = Nightly(stack, emulator, services, services.redis)
            (login,) = new_logins(1)
            nightly.send([cloud_event(login, on=True, minute=0)])
            eventually(lambda: nightly.flags() == {login: True}, seconds=60, describe="the call")
            assert worker.is_running
            services.redis.close()
