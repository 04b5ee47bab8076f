"""For `demo` and `run`: stops on signals, and finds out how to type a command in the caller's shell."""

import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

INTERRUPTED = 130
ONE_STOP_SECONDS = 1.0
"""Signals within this time count as one request: `timeout` and a terminal signal both a process and its group."""


@contextmanager
def told_to_stop() -> Iterator[None]:
    """Raise KeyboardInterrupt for SIGINT and SIGTERM; once for signals within ONE_STOP_SECONDS."""
    last_at = -ONE_STOP_SECONDS

    def interrupt(*_: object) -> None:
        nonlocal last_at
        if time.monotonic() - last_at >= ONE_STOP_SECONDS:
            last_at = time.monotonic()
            raise KeyboardInterrupt

    previous = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def typed(command: str) -> str:
    """Return how to type a command that is installed beside this Python: its name if PATH finds it, else its path."""
    installed = Path(sys.executable).with_name(command)
    on_path = shutil.which(command)
    if not installed.exists() or (on_path and Path(on_path).samefile(installed)):
        return command
    return str(installed.relative_to(Path.cwd()) if installed.is_relative_to(Path.cwd()) else installed)
