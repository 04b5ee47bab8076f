"""Finds what a test left running: every test works in a folder of its own, and so does every process it starts."""

import contextlib
import os
import signal
from pathlib import Path


def at_work_in(folder: Path) -> list[int]:
    """Every process of this machine, but this one, whose working folder lies in `folder`."""
    found = []
    for link in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            if link.readlink().is_relative_to(folder) and int(link.parent.name) != os.getpid():
                found.append(int(link.parent.name))
    return found


def kill_leftovers(folder: Path) -> list[int]:
    """Kill what is still at work in `folder` and return it: an empty list is a clean test."""
    left = at_work_in(folder)
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return left
