"""A full Redis: no event is dropped, no worker ends, and work continues by itself once there is room."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from celery import Celery

from sandbox.emulator.remote import EmulatorControl
from sandbox.stack import EmbeddedRedis, OrphanGuard
from sandbox.stack.stack import EMULATOR_KEY
from tests.brief_stack import BriefStack
from tests.integration.celery_worker.conftest import Nightly, cloud_event, new_logins
from tests.waiting import eventually
from worker.broker.celery_config import kombu_address
from worker.services import build_services


@pytest.fixture
def nightly(tmp_path: Path, orphan_guard: OrphanGuard, emulator: EmulatorControl, login_keys: str) -> Iterator[Nightly]:
    """A Nightly on a Redis of its own, with one worker."""
    with EmbeddedRedis(tmp_path, name="full", guard=orphan_guard, takes_config=True) as server:
        overrides = {
            "REDIS_URL": server.url,
            "LOGIN_KEYS": login_keys,
            "FLINKS_BASE_URL": emulator.base_url,
            "FLINKS_AUTH_KEY": EMULATOR_KEY,
            "FLINKS_TIMEOUT_SECONDS": "1",
            "FLINKS_SETTLE_SECONDS": "1",
        }
        with BriefStack(tmp_path / "stack", isolated=True, overrides=overrides) as stack:
            services = build_services(stack.settings())
            yield Nightly(stack, emulator, services, services.redis)
            services.redis.close()


def test_a_full_redis_loses_no_event_and_ends_no_worker(nightly: Nightly) -> None:
    (worker,) = nightly.stack.workers
    by_stream, by_celery = new_logins(20), new_logins(20)
    with nightly.redis.pipeline() as pipeline:  # in one transaction with the new limit
        for login in by_stream:
            pipeline.xadd("account-events:stream", {"event": json.dumps(cloud_event(login, on=True, minute=0))})
        for item in _messages(nightly, by_celery):
            pipeline.lpush("account-events", item)
        pipeline.config_set("maxmemory", "1")
        pipeline.execute()
    eventually(lambda: "broker_full" in worker.output(), seconds=20, describe="the worker's word")
    eventually(lambda: "ledger_unreachable" in worker.output(), seconds=20, describe="the stream reader's word")
    assert "Redis is full and accepts no more writes." in worker.output()
    doctor = subprocess.run(
        [sys.executable, "-m", "worker", "doctor", "--json"],
        env=nightly.stack.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    memory = next(check for check in map(json.loads, doctor.stdout.splitlines()) if check["name"] == "memory")
    assert memory["level"] == "fail"
    assert nightly.redis.llen("account-events") > 0
    assert worker.is_running
    told = worker.output().count("broker_full")
    nightly.redis.config_set("maxmemory", "0")
    eventually(lambda: len(nightly.flags()) == 40, seconds=120, describe="all calls")
    assert nightly.flags() == dict.fromkeys([*by_stream, *by_celery], True)
    assert worker.is_running
    assert told == 1
    nightly.comes_to_rest(seconds=30)
    assert nightly.letters() == []
    assert nightly.redis.hlen("unacked") == 0


def _messages(nightly: Nightly, logins: list[str]) -> list[bytes]:
    """Return what a Celery producer would put on the queue."""
    url = f"{nightly.stack.environment['REDIS_URL']}?db=1"
    with Celery(broker=kombu_address(url)[0]) as producer:
        for login in logins:
            kwargs = {"login_id": login, "occurred_at": "2026-11-22T10:00:00Z"}
            producer.send_task("account.linked", kwargs=kwargs, queue="account-events")
    with redis.Redis.from_url(url) as other:
        return [item for item in other.lrange("account-events", 0, -1) if isinstance(item, bytes)]
