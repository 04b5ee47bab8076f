import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from redis import Redis

from sandbox.stack import EmbeddedRedis, EmbeddedStack, ManagedProcess, OrphanGuard
from sandbox.stack import redis_server as redis_module
from sandbox.stack.processes import group_members
from sandbox.stack.readiness import answers_ping
from sandbox.stack.redis_binary import find_redis_binary
from tests.integration.leftovers import at_work_in, kill_leftovers
from tests.places import ROOT
from tests.waiting import eventually
from worker.errors import EmbeddedStackError

PARENT = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN if "--deaf" in sys.argv else signal.SIG_DFL)
for _ in range(2):
    if os.fork() == 0:
        time.sleep(600)
print("ready", flush=True)
time.sleep(600)
"""


@pytest.fixture(autouse=True)
def _nothing_is_left(tmp_path: Path, orphan_guard: OrphanGuard) -> Iterator[None]:
    assert orphan_guard.pid  # started first, and so not in this test's folder
    yield
    assert kill_leftovers(tmp_path) == []


@pytest.fixture
def family(tmp_path: Path, orphan_guard: OrphanGuard, request: pytest.FixtureRequest) -> ManagedProcess:
    """A process that has forked two children."""
    argv = [sys.executable, "-c", PARENT, *getattr(request, "param", [])]
    process = ManagedProcess("family", argv, env=os.environ, log_path=tmp_path / "family.log", guard=orphan_guard)
    process.start().wait_ready(lambda: "ready" in process.output(), seconds=10)
    return process


def test_stopping_a_process_stops_its_children_too(family: ManagedProcess) -> None:
    group = family.pid
    assert len(family.children()) == 2

    assert family.stop() == -signal.SIGTERM

    assert group_members(group) == []
    assert not family.is_running


@pytest.mark.parametrize("family", [["--deaf"]], indirect=True)
def test_a_process_that_ignores_sigterm_is_killed_after_the_grace_period(family: ManagedProcess) -> None:
    assert family.stop(grace_seconds=0.1) == -signal.SIGKILL


def test_the_orphans_of_a_killed_process_are_found_and_stopped(family: ManagedProcess) -> None:
    family.kill()
    assert len(family.children()) == 2

    family.stop()


def test_a_process_that_ends_before_it_is_ready_shows_the_end_of_its_log(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", "print('no room left'); raise SystemExit(3)"]
    process = ManagedProcess("worker-1", argv, env=os.environ, log_path=tmp_path / "worker-1.log").start()

    with pytest.raises(EmbeddedStackError, match=r"worker-1: ended with exit code 3.*\nno room left"):
        process.wait_ready(lambda: False, seconds=10)

    process.stop()


def test_a_process_that_is_never_ready_is_given_up(family: ManagedProcess) -> None:
    with pytest.raises(EmbeddedStackError, match=r"family: not ready in 0\.1 s.*\nready"):
        family.wait_ready(lambda: False, seconds=0.1)

    family.stop()


def test_a_command_that_does_not_exist_is_a_clear_error(tmp_path: Path) -> None:
    process = ManagedProcess("worker-1", [str(tmp_path / "nothing")], env={}, log_path=tmp_path / "log")

    with pytest.raises(EmbeddedStackError, match="worker-1 cannot be started: No such file"):
        process.start()


@pytest.fixture
def redis(tmp_path: Path, orphan_guard: OrphanGuard) -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis(tmp_path / ("deep" * 40), name="own", guard=orphan_guard, takes_config=True) as server:
        yield server


@pytest.fixture
def tcp_redis(tmp_path: Path, orphan_guard: OrphanGuard) -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis(tmp_path, name="tcp", guard=orphan_guard, tcp=True) as server:
        yield server


def test_redis_keeps_everything_and_evicts_nothing(redis: EmbeddedRedis) -> None:
    with Redis.from_url(redis.url, decode_responses=True) as client:
        configured = {
            name: client.config_get(name)[name] for name in ("appendonly", "appendfsync", "maxmemory-policy", "save")
        }
        info = client.info("server")

    assert configured == {
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
        "save": "",
    }
    valkey = info.get("valkey_version")
    assert redis.server == (f"Valkey {valkey}" if valkey else f"Redis {info['redis_version']}")
    assert redis.data_folder.stat().st_mode & 0o777 == 0o700


def test_redis_comes_back_from_kill_9_at_the_same_address_with_its_data(redis: EmbeddedRedis) -> None:
    url, pid = redis.url, redis.pid
    with Redis.from_url(url) as client:
        client.set("wish", "kept")

    redis.restart()

    with Redis.from_url(url) as client:
        assert client.get("wish") == b"kept"
    assert (redis.url, redis.pid == pid) == (url, False)


def test_a_second_redis_on_the_same_data_is_refused_until_the_first_stops(redis: EmbeddedRedis) -> None:
    second = EmbeddedRedis(redis.data_folder.parent, name="own")

    with pytest.raises(EmbeddedStackError, match=r"Another Nightly already uses .*/redis-own; stop it first"):
        second.start()
    redis.stop()

    with second:
        assert second.pid


def test_a_port_that_another_process_took_is_not_used(
    tcp_redis: EmbeddedRedis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offers = iter([tcp_redis.port, redis_module.free_port()])
    monkeypatch.setattr(redis_module, "free_port", lambda: next(offers))

    with EmbeddedRedis(tmp_path, name="late", tcp=True) as late:
        assert late.port != tcp_redis.port


def test_a_foreign_redis_is_never_mistaken_for_our_own(tcp_redis: EmbeddedRedis, tmp_path: Path) -> None:
    own = EmbeddedRedis(tmp_path, name="late", tcp=True)
    own.url = tcp_redis.url

    with pytest.raises(EmbeddedStackError, match="Address already in use"):
        own.start()


def test_a_redis_that_cannot_read_its_data_shows_the_end_of_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EmbeddedRedis, "_configuration", lambda *_: "appendonly perhaps\n")

    with pytest.raises(EmbeddedStackError, match=r"(?s)Redis ledger: ended with exit code 1.*perhaps"):
        EmbeddedRedis(tmp_path).start()


def test_a_stack_starts_its_parts_reports_each_step_and_leaves_nothing_running(tmp_path: Path) -> None:
    steps: list[str] = []

    with EmbeddedStack(tmp_path / "stack", isolated=True, workers=0, on_step=steps.append) as stack:
        settings = stack.settings()
        assert httpx.get(f"{stack.emulator_url}/_emulator/stats", trust_env=False).is_success
        assert len(at_work_in(tmp_path)) == 3  # Redis, the emulator, and the guard

    assert at_work_in(tmp_path) == []
    assert [step.split()[0] for step in steps] == [find_redis_binary().name, "emulator"]
    assert settings.instances()["toolbox"].base_url == stack.emulator_url
    assert settings.vault()


def test_a_worker_is_ready_when_it_answers_and_its_exit_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "tiny.py").write_text(
        "import os\nfrom celery import Celery\nfrom worker.broker.celery_config import kombu_address\n"
        "app = Celery('tiny', broker=kombu_address(os.environ['REDIS_URL'])[0])\n"
    )
    argv = [sys.executable, "-m", "celery", "--workdir", str(tmp_path), "-A", "tiny", "worker", "-n", "worker-1@%h"]
    with EmbeddedStack(tmp_path / "stack", isolated=True, workers=0, emulator=False) as stack:
        url = stack.environment["REDIS_URL"]
        worker = stack.start_process(
            "worker-1", [*argv, "--concurrency", "2"], ready=lambda _: answers_ping(url, "worker-1")
        )
        assert stack.workers == [worker]
        assert len(worker.children()) == 2

        worker.kill()
        assert not answers_ping(url, "worker-1")
        assert stack.stop_process(worker) == -signal.SIGKILL
        assert stack.workers == []


def test_the_stacks_own_worker_works_on_its_redis_and_stops_warmly(tmp_path: Path) -> None:
    with EmbeddedStack(tmp_path / "stack", isolated=True, concurrency=1) as stack:
        (worker,) = stack.workers
        with Redis.from_url(stack.environment["REDIS_URL"]) as client:
            eventually(lambda: client.hkeys("nightly:workers"), describe="the worker's pulse")
        assert len(worker.children()) == 1

        assert stack.stop_process(worker) == 0


def test_when_the_parent_is_killed_nothing_of_its_stack_survives(tmp_path: Path) -> None:
    program = """
import pathlib, signal, sys
from sandbox.stack import EmbeddedStack
with EmbeddedStack(pathlib.Path(sys.argv[1]), isolated=True, workers=0) as stack:
    print(stack.redis.pid, flush=True)
    signal.pause()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "stack")],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        try:
            assert parent.stdout
            assert int(parent.stdout.readline()) in at_work_in(tmp_path)
        finally:
            parent.kill()

    eventually(lambda: not at_work_in(tmp_path), describe="the end of everything the stack had started")
