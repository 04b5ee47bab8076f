"""Kills the child processes of a stack whose parent died without stopping them (SIGKILL, a crash, the OOM killer).

One small process per stack gets the id of each process group through a pipe. When the pipe closes, the parent is dead
and the guard kills every group on its list. Linux's parent-death signal is not enough: it follows the *thread* that
started the child and does not signal groups.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from typing import Self


class OrphanGuard:
    """The parent's end of the pipe: a context manager around all processes that it watches."""

    def __init__(self) -> None:
        self._popen: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start the guard in its own session, so that Ctrl-C does not reach it."""
        argv = [sys.executable, "-I", "-S", __file__]
        self._popen = subprocess.Popen(argv, stdin=subprocess.PIPE, start_new_session=True)  # noqa: S603 - our own file
        return self

    @property
    def pid(self) -> int | None:
        """The guard's own process id, while it runs."""
        return self._popen.pid if self._popen else None

    def watch(self, group_id: int) -> None:
        """Put a process group on the list."""
        self._send(f"+{group_id}\n")

    def forget(self, group_id: int) -> None:
        """Remove a group from the list: it is empty, and its id may soon be reused."""
        self._send(f"-{group_id}\n")

    def stop(self) -> None:
        """Close the pipe: the guard kills the groups that are left on its list, and ends."""
        if self._popen is None:
            return
        popen, self._popen = self._popen, None
        if popen.stdin:
            with contextlib.suppress(BrokenPipeError):
                popen.stdin.close()
        popen.wait()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _send(self, line: str) -> None:
        if self._popen and self._popen.stdin:
            with contextlib.suppress(BrokenPipeError):
                self._popen.stdin.write(line.encode())
                self._popen.stdin.flush()


def watch_until_closed(lines: Iterable[str]) -> None:
    """Maintain the list until the pipe closes, then kill the groups on it."""
    groups: set[int] = set()
    for line in lines:
        (groups.add if line.startswith("+") else groups.discard)(int(line[1:]))
    for group_id in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group_id, signal.SIGKILL)


if __name__ == "__main__":
    watch_until_closed(sys.stdin)
