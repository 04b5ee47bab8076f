"""Finds processes that a test left running: they work in the folder of the test."""

import contextlib
import os
import signal
from pathlib import Path


def at_work_in(folder: Path) -> list[int]:
    """Every other process of this machine whose working folder is in `folder`."""
    found = []
    for link in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            if link.readlink().is_relative_to(folder) and int(link.parent.name) != os.getpid():
                found.append(int(link.parent.name))
    return found


def kill_leftovers(folder: Path) -> list[int]:
    """Kill the processes that still work in `folder` and return them; empty for a clean test."""
    left = at_work_in(folder)
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return left
