"""A forked program behaves like an executed one: what it sees, how it ends, and what is left of it."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.stack import EmbeddedStack, OrphanGuard
from tests.forked_process import Forked, ForkedProcess
from tests.waiting import eventually

NIGHTLY = [sys.executable, "-m", "worker"]


def start(argv: list[str], tmp_path: Path, guard: OrphanGuard, **environment: str) -> ForkedProcess:
    process = ForkedProcess("forked", argv, env=environment, log_path=tmp_path / "log", cwd=tmp_path, guard=guard)
    process.start()
    assert isinstance(process._popen, Forked)
    return process


def test_a_forked_program_sees_only_its_own_arguments_environment_and_folder(
    tmp_path: Path, orphan_guard: OrphanGuard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLINKS_AUTH_KEY", "of the parent")
    (tmp_path / ".env").write_text("REDIS_URL=nonsense\n")
    process = start([*NIGHTLY, "status"], tmp_path, orphan_guard, HTTP_EVENTS_SECRETS="wrong")
    eventually(lambda: process.exit_code is not None, seconds=30)
    assert process.exit_code == 2
    assert "REDIS_URL" in process.output()
    assert "HTTP_EVENTS_SECRETS" in process.output()
    assert "FLINKS_AUTH_KEY" not in process.output()
    assert process.stop() == 2


def test_the_exit_code_of_a_killed_program_is_the_signal_that_ended_it(
    tmp_path: Path, orphan_guard: OrphanGuard
) -> None:
    argv = [sys.executable, "-m", "sandbox.emulator", "--port", "0"]
    process = start(argv, tmp_path, orphan_guard)
    process.wait_ready(lambda: "listening" in process.output(), seconds=30)
    assert process.is_running
    assert process.children() == []
    with pytest.raises(subprocess.TimeoutExpired):
        process._popen.wait(0.01)
    process.kill()
    assert process.exit_code == -signal.SIGKILL
    process.stop()
    process.start().wait_ready(lambda: "listening" in process.output(), seconds=30)
    assert process.stop() == 0, "SIGTERM is not handled as in an executed program"


def test_what_a_fork_server_has_not_imported_is_executed(tmp_path: Path, orphan_guard: OrphanGuard) -> None:
    argv = [sys.executable, "-c", "print('executed')"]
    process = ForkedProcess("executed", argv, env={}, log_path=tmp_path / "log", guard=orphan_guard).start()
    eventually(lambda: process.exit_code is not None)
    assert "executed" in process.output()
    process.stop()
    assert EmbeddedStack.process_type is not ForkedProcess, "nightly run must execute its processes"
