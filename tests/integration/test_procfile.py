"""The Procfile, really started: each process type comes up, and stops on a signal.

One type at a time, because honcho gives the others five seconds once the first has stopped.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from sandbox.stack import EmbeddedStack, ManagedProcess, OrphanGuard
from sandbox.stack.readiness import answers_ping
from sandbox.stack.redis_server import free_port
from tests.integration.leftovers import at_work_in, kill_leftovers
from tests.places import ROOT

PROCFILE = ROOT / "Procfile"


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def honcho(
    request: pytest.FixtureRequest, tmp_path: Path, stack: EmbeddedStack, port: int, orphan_guard: OrphanGuard
) -> Iterator[ManagedProcess]:
    """Honcho with the process type of the test, and PORT as a platform would set it."""
    command = [sys.executable, "-m", "honcho", "-e", os.devnull, "-f", str(PROCFILE), "start", "-p", str(port)]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    process = ManagedProcess(
        "honcho",
        [*command, request.param],
        env=stack.environment | {"PATH": path},
        log_path=tmp_path / "honcho.log",
        cwd=stack.working_folder,
        guard=orphan_guard,
    )
    yield process.start()
    process.stop()
    kill_leftovers(tmp_path)  # honcho puts each child into a session of its own


def test_the_procfile_names_exactly_the_process_types_tested_here() -> None:
    assert [line.partition(":")[0] for line in PROCFILE.read_text().splitlines()] == ["worker", "review"]


@pytest.mark.parametrize("honcho", ["worker"], indirect=True)
def test_the_worker_answers_and_stops_warmly(honcho: ManagedProcess, stack: EmbeddedStack) -> None:
    honcho.wait_ready(lambda: answers_ping(stack.environment["REDIS_URL"], "celery"), seconds=40)

    honcho.stop(grace_seconds=30)

    assert "worker.1 stopped (rc=0)" in honcho.output()
    assert at_work_in(stack.folder) == []


@pytest.mark.parametrize("honcho", ["review"], indirect=True)
def test_the_review_page_answers_on_the_given_port_and_stops(
    honcho: ManagedProcess, stack: EmbeddedStack, port: int
) -> None:
    def answers() -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/", trust_env=False).status_code > 0
        except httpx.TransportError:
            return False

    honcho.wait_ready(answers, seconds=40)

    honcho.stop(grace_seconds=30)

    assert "review.1 stopped" in honcho.output()
    assert at_work_in(stack.folder) == []
