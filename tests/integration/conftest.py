"""The parts that integration tests share: the controlled emulator, and a stack that starts workers."""

import os
import resource
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox.emulator.remote import EmulatorControl
from sandbox.stack import EmbeddedStack, ManagedProcess, OrphanGuard
from sandbox.stack.readiness import listening_url
from sandbox.stack.stack import EMULATOR_KEY
from tests.brief_stack import BriefStack
from tests.forked_process import ForkedProcess
from tests.places import ROOT

Start = Callable[..., ManagedProcess]


@pytest.fixture
def emulator(emulator_url: str) -> Iterator[EmulatorControl]:
    """The session's emulator, reset: no fault, login or recorded call of an earlier test is left."""
    with EmulatorControl(emulator_url) as control:
        control.reset()
        yield control


@pytest.fixture
def stack(tmp_path: Path, redis_url: str, emulator: EmulatorControl, login_keys: str) -> Iterator[EmbeddedStack]:
    """A stack on the session's Redis and emulator, with no worker yet: call `stack.start_worker()`."""
    settings = {
        "REDIS_URL": redis_url,
        "LOGIN_KEYS": login_keys,
        "FLINKS_BASE_URL": emulator.base_url,
        "FLINKS_AUTH_KEY": EMULATOR_KEY,
    }
    with BriefStack(tmp_path / "stack", isolated=True, overrides=settings, workers=0) as stack:
        yield stack


@pytest.fixture
def start(redis_url: str, tmp_path: Path, orphan_guard: OrphanGuard) -> Iterator[Start]:
    """Start the page on a free port; it is stopped at the end. `files`: its limit of open files."""
    started: list[ManagedProcess] = []

    def run(*, users: str = "", host: str = "127.0.0.1", url: str = redis_url, files: int = 0) -> ManagedProcess:
        argv = [sys.executable, "-m", "worker", "review", "--host", host, "--port", "0"]
        if files:
            argv = ["sh", "-c", f'ulimit -n {files}; exec "$@"', "sh", *argv]
        env = os.environ | {"REDIS_URL": url, "REVIEW_USERS": users, "PYTHONPATH": str(ROOT)}
        page = ForkedProcess("review", argv, env=env, log_path=tmp_path / "review.log", guard=orphan_guard)
        started.append(page.start())
        page.wait_ready(lambda: listening_url(page), seconds=30)
        return page

    yield run
    for page in started:
        page.stop()


@pytest.fixture
def many_files() -> Iterator[None]:
    """Allow the test process to open thousands of sockets."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(4096, hard) if hard > 0 else 4096), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
