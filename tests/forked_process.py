"""Child processes that a fork server starts (tests/fork_server.py), each without its second of imports."""

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, Any

from sandbox.stack import ManagedProcess
from tests.places import ROOT

FORKED = frozenset({"tests.light_celery", "worker", "sandbox.emulator"})
"""Modules whose imports a fork server has, if they are started with `python -m`."""


class ForkServer:
    """The fork server of this process; it ends with this process, however that ends."""

    def __init__(self) -> None:
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            argv = [sys.executable, "-m", "tests.fork_server", str(theirs.fileno())]
            self._popen = subprocess.Popen(
                argv, cwd=ROOT, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, start_new_session=True
            )
        self._lock = threading.Lock()

    def start(self, argv: list[str], environment: dict[str, str], folder: Path | None, output: IO[bytes]) -> "Forked":
        """Start `python -m module ...` in a process group of its own."""
        _, _, module, *arguments = argv
        request = json.dumps([module, arguments, environment, str(folder or Path.cwd())]).encode()
        reports, reports_to = os.pipe()
        try:
            with self._lock:
                socket.send_fds(self._requests, [request], [output.fileno(), reports_to])
        finally:
            os.close(reports_to)
        return Forked(os.fdopen(reports, "rb"), argv)

    def close(self) -> None:
        """End the server."""
        self._requests.close()
        self._popen.wait()


class Forked:
    """What a ManagedProcess uses of a Popen, for a process that is a child of the fork server."""

    stdin = None

    def __init__(self, reports: IO[bytes], argv: list[str]) -> None:
        self._reports, self._argv = reports, argv
        self.pid = int(reports.readline())
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, or None while the process runs."""
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end of the process; raises TimeoutExpired."""
        code = self._look(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(self._argv, timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it ended, and its parent reports that a moment later
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Send SIGKILL, unless the process has ended."""
        self.send_signal(signal.SIGKILL)

    def _look(self, seconds: float | None) -> int | None:
        if self.returncode is None and select.select([self._reports], [], [], seconds)[0]:
            with self._reports:
                self.returncode = int(self._reports.readline())
        return self.returncode


class ForkedProcess(ManagedProcess):
    """A ManagedProcess that is forked if a fork server can; others are executed."""

    def _spawn(self, log: IO[bytes]) -> Any:
        if self._keep_open or self._stdin or self.argv[1:2] != ["-m"] or self.argv[2] not in FORKED:
            return super()._spawn(log)
        return fork_server().start(self.argv, self._env, self._cwd, log)


@cache
def fork_server() -> ForkServer:
    """Return the fork server of this process, and start it at the first call."""
    server = ForkServer()
    atexit.register(server.close)
    return server
