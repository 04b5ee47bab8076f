"""A worker with a fault that production code cannot be given: a launcher patches it before Celery starts."""

import sys
from collections.abc import Sequence
from pathlib import Path

from sandbox.stack import EmbeddedStack, ManagedProcess
from sandbox.stack.readiness import answers_ping

LAUNCHER = """
from tests.light_celery import main
from worker.celery_worker import bootsteps as background
from worker.celery_worker import shutdown
from worker.celery_worker import watchdog
background.LOOK_SECONDS = watchdog.LOOK_SECONDS = {look_seconds}
{patch}
main()
"""
ARGV = ["-A", "worker", "worker", "--without-gossip", "--without-mingle", "--loglevel", "INFO"]


def start_hooked(
    stack: EmbeddedStack,
    patch: str = "",
    *,
    look_seconds: float = 0.1,
    is_ready: bool = True,
    options: Sequence[str] = (),
) -> ManagedProcess:
    """Start a worker with two slots and a fast watchdog; `patch` runs before Celery starts."""
    launcher = Path(stack.folder, "launcher.py")
    launcher.write_text(LAUNCHER.format(patch=patch, look_seconds=look_seconds))
    argv = [sys.executable, str(launcher), *ARGV, "-n", "worker-hooked@%h", "--concurrency", "2", *options]
    url = stack.environment["REDIS_URL"]
    return stack.start_process(
        "worker-hooked", argv, ready=lambda _: not is_ready or answers_ping(url, "worker-hooked")
    )
