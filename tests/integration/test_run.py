"""`nightly run` as a person uses it: what it prints can be pasted, and it ends when it should."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.leftovers import kill_leftovers
from tests.places import ROOT
from tests.waiting import eventually
from worker.embedded import ManagedProcess, OrphanGuard


@pytest.fixture
def run(tmp_path: Path, orphan_guard: OrphanGuard) -> Iterator[ManagedProcess]:
    """`nightly run` in an empty folder, up."""
    process = ManagedProcess(
        "run",
        [sys.executable, "-m", "worker", "run", "--port", "0"],
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        log_path=tmp_path / "run.log",
        cwd=tmp_path,
        guard=orphan_guard,
    )
    process.start().wait_ready(lambda: "Every part of it is watched" in process.output(), seconds=60)
    yield process
    process.stop(grace_seconds=30)
    assert kill_leftovers(tmp_path) == []


def printed_commands(run: ManagedProcess) -> list[str]:
    text = run.output().partition("In another shell")[2]
    return [line.strip() for line in text.splitlines() if line.startswith("  ")]


def test_what_it_prints_can_be_pasted_and_it_stops_when_told(run: ManagedProcess, tmp_path: Path) -> None:
    page = re.search(r"review page +(http://127\.0\.0\.1:\d+)", run.output())
    assert page
    assert httpx.get(page[1] + "/health", trust_env=False).text == "ok\n"
    assert httpx.get(page[1], trust_env=False).status_code == 401
    assert "closed until REVIEW_USERS" in run.output()
    assert (tmp_path / ".nightly" / "login-keys").read_text().strip() not in run.output()

    def shell(*lines: str) -> str:
        script = ["bash", "-euc", "\n".join(lines)]
        done = subprocess.run(script, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    *exports, publish, xadd, status, explain = printed_commands(run)
    shell(*exports, publish, xadd)
    eventually(lambda: "1 applied on, 1 applied off" in shell(*exports, status), seconds=30, describe="both calls")
    assert "Flinks has  on" in shell(*exports, explain)

    run.signal(signal.SIGTERM)
    eventually(lambda: not run.is_running, seconds=30, describe="the end of the run")
    assert run.exit_code == 0
    assert "Traceback" not in run.output()


@pytest.mark.parametrize("part", ["emulator"])
def test_a_part_that_dies_ends_the_run_and_is_named(run: ManagedProcess, part: str) -> None:
    found = re.search(rf"{part} ready \(pid (\d+)\)", run.output())
    assert found
    os.kill(int(found[1]), signal.SIGKILL)
    eventually(lambda: not run.is_running, seconds=30, describe="the end of the run")
    assert run.exit_code == 1
    assert f"{part} ended" in run.output()
    assert "Traceback" not in run.output()
