"""The Procfile, really started: every process type comes up, and all of them stop."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.leftovers import kill_leftovers
from worker.embedded import EmbeddedStack, OrphanGuard
from worker.embedded.processes import ManagedProcess
from worker.embedded.readiness import answers_ping
from worker.embedded.redis_server import free_port

PROCFILE = Path(__file__).resolve().parents[2] / "Procfile"
HONCHO_PORT_STEP = 100  # between the first process type's PORT and the second's


@pytest.fixture
def running(tmp_path: Path, stack: EmbeddedStack, orphan_guard: OrphanGuard) -> Iterator[tuple[ManagedProcess, int]]:
    """Honcho with every process type of the Procfile, and the port given to the review page."""
    port = free_port()
    honcho = [sys.executable, "-m", "honcho", "-e", os.devnull, "-f", str(PROCFILE), "-p", str(port - HONCHO_PORT_STEP)]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    process = ManagedProcess(
        "honcho",
        [*honcho, "start"],
        env=stack.environment | {"PATH": path},
        log_path=tmp_path / "honcho.log",
        cwd=stack.working_folder,
        guard=orphan_guard,
    )
    yield process.start(), port
    process.stop(grace_seconds=30)
    kill_leftovers(tmp_path)


def test_every_process_type_becomes_ready_and_all_stop_cleanly(
    running: tuple[ManagedProcess, int], stack: EmbeddedStack
) -> None:
    honcho, port = running

    def review_answers() -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/", trust_env=False).status_code < 500
        except httpx.TransportError:
            return False

    honcho.wait_ready(lambda: answers_ping(stack.environment["REDIS_URL"], "celery"), seconds=40)
    honcho.wait_ready(review_answers, seconds=40)
    honcho.ask_to_stop()
    honcho.stop(grace_seconds=30)

    log = honcho.log_path.read_text()
    assert "worker.1 stopped (rc=0)" in log
    assert "review.1 stopped" in log
    assert "SIGKILL" not in log
    assert kill_leftovers(stack.working_folder) == []
