"""kombu 5.7.0 ends a worker whose Redis fails with an unacknowledged message in flight; our patch prevents it."""

from pathlib import Path

from celery import Celery

from sandbox.emulator.remote import EmulatorControl
from sandbox.stack import EmbeddedRedis, OrphanGuard
from sandbox.stack.stack import EMULATOR_KEY
from tests.brief_stack import BriefStack
from tests.integration.celery_worker.conftest import Nightly, new_logins
from tests.integration.celery_worker.hooked import start_hooked
from tests.waiting import eventually
from worker.broker.celery_config import kombu_address
from worker.services import build_services

SLOW_INTAKE = """
import pathlib, time
from worker.intake.accept import Intake
original = Intake.accept_batch
def accept_slowly(*args, **options):
    pathlib.Path("in-hand").touch()
    time.sleep(4)
    return original(*args, **options)
Intake.accept_batch = accept_slowly
"""


def test_a_worker_with_a_message_in_hand_survives_a_redis_failure(
    tmp_path: Path, orphan_guard: OrphanGuard, emulator: EmulatorControl, login_keys: str
) -> None:
    with EmbeddedRedis(tmp_path, name="killed", appendfsync="always", guard=orphan_guard) as server:
        overrides = {
            "REDIS_URL": server.url,
            "LOGIN_KEYS": login_keys,
            "FLINKS_BASE_URL": emulator.base_url,
            "FLINKS_AUTH_KEY": EMULATOR_KEY,
        }
        with BriefStack(tmp_path / "stack", isolated=True, overrides=overrides, workers=0) as stack:
            worker = start_hooked(stack, SLOW_INTAKE, look_seconds=5)
            services = build_services(stack.settings())
            nightly = Nightly(stack, emulator, services, services.redis)
            (login,) = new_logins(1)
            with Celery(broker=kombu_address(server.url)[0]) as producer:
                kwargs = {"login_id": login, "occurred_at": "2026-11-22T10:00:00Z"}
                producer.send_task("account.linked", kwargs=kwargs, queue="backfill")  # which kombu reads
            eventually((stack.working_folder / "in-hand").exists, describe="the message in hand")
            server.restart()
            eventually(
                lambda: nightly.flags() == {login: True} or not worker.is_running, seconds=60, describe="the call"
            )
            assert worker.is_running, worker.tail()
            services.redis.close()
