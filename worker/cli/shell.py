"""Helpers of `demo` and `run`: stopping on signals, and how to type a command in the caller's shell."""

import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

INTERRUPTED = 130
ONE_STOP_SECONDS = 1.0
"""`timeout` and a terminal signal both us and our group: within this time it is one request to stop, not two."""


@contextmanager
def told_to_stop() -> Iterator[None]:
    """Raise KeyboardInterrupt for SIGTERM too, and once for signals in a row; a later one raises again."""
    last_at = -ONE_STOP_SECONDS

    def interrupt(*_: object) -> None:
        nonlocal last_at
        if time.monotonic() - last_at >= ONE_STOP_SECONDS:
            last_at = time.monotonic()
            raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def typed(command: str) -> str:
    """Return how a command that is installed beside this Python is typed here: by name if PATH leads to it."""
    ours = Path(sys.executable).with_name(command)
    found = shutil.which(command)
    if not ours.exists() or (found and Path(found).samefile(ours)):
        return command
    return str(ours.relative_to(Path.cwd()) if ours.is_relative_to(Path.cwd()) else ours)
