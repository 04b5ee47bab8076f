"""Runs one child process in its own process group; `stop` ends the whole group.

Each child leads its own session, so Ctrl-C reaches only the parent, which then stops its children in order. Processes
that the child forked can be found and killed by group, even after a `kill -9` of the child.
"""

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Self

from sandbox.stack.guard import OrphanGuard
from sandbox.stack.waiting import wait_until
from worker.errors import EmbeddedStackError

KILL_SECONDS = 10.0
TAIL_BYTES = 64 * 1024


class ManagedProcess:
    """One child process. Its output is appended to `log_path`; `guard` kills its group if this process dies first.

    `stdin` is the text of its standard input, which, unlike arguments and environment, no process list shows.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        log_path: Path,
        cwd: Path | None = None,
        guard: OrphanGuard | None = None,
        keep_open: Sequence[int] = (),
        stdin: str = "",
    ) -> None:
        self.name = name
        self.argv = list(argv)
        self.log_path = log_path
        self._env, self._cwd, self._guard, self._keep_open = dict(env), cwd, guard, tuple(keep_open)
        self._stdin = stdin.encode()
        self._popen: subprocess.Popen[bytes] | None = None
        self._log_offset = 0
        self._was_asked = False

    def start(self) -> Self:
        """Start the process; raises EmbeddedStackError if it is already running or the command cannot be run."""
        if self._popen is not None:
            raise EmbeddedStackError(f"{self.name} is already running; stop it first")
        self.log_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            self._log_offset = log.tell()
            try:
                self._popen = self._spawn(log)
            except OSError as error:
                raise EmbeddedStackError(f"{self.name} cannot be started: {error.strerror}") from error
        self._was_asked = False
        if self._guard:
            self._guard.watch(self._popen.pid)
        if self._popen.stdin:
            with contextlib.suppress(BrokenPipeError), self._popen.stdin:  # `wait_ready` reports that it ended
                self._popen.stdin.write(self._stdin)
        return self

    def _spawn(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - argv is ours, and no shell reads it
            self.argv,
            env=self._env,
            cwd=self._cwd,
            stdin=subprocess.PIPE if self._stdin else subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=self._keep_open,
        )

    @property
    def pid(self) -> int:
        """The process id, which is also the id of its group; raises EmbeddedStackError before start and after stop."""
        if self._popen is None:
            raise EmbeddedStackError(f"{self.name} is not started")
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """Its exit code (negative: the signal that ended it), or None while it runs."""
        return None if self._popen is None else self._popen.poll()

    @property
    def is_running(self) -> bool:
        """Whether the process itself is alive; its orphans do not count."""
        return self._popen is not None and self._popen.poll() is None

    def children(self) -> list[int]:
        """Return the ids of all other live processes in its group, orphans included."""
        return [pid for pid in group_members(self.pid) if pid != self.pid]

    def wait_ready(self, condition: Callable[[], object], *, seconds: float) -> None:
        """Poll until `condition` holds; raises EmbeddedStackError with the log's end on exit or timeout."""
        if wait_until(lambda: not self.is_running or condition(), seconds=seconds) and self.is_running:
            return
        ended = f"ended with exit code {self.exit_code}" if self.exit_code is not None else f"not ready in {seconds} s"
        raise EmbeddedStackError(f"{self.name}: {ended}; the end of its log:\n{self.tail()}")

    def output(self) -> str:
        """Return the last 64 KiB of its output since the last start."""
        if not self.log_path.exists():
            return ""
        with self.log_path.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(self._log_offset, size - TAIL_BYTES))
            return log.read().decode(errors="replace")

    def tail(self, lines: int = 15) -> str:
        """Return the last lines of its output since the last start."""
        return "\n".join(self.output().splitlines()[-lines:])

    def signal(self, number: int) -> None:
        """Send a signal to the process, not to its group; does nothing if it has ended."""
        if self._popen is not None:
            self._popen.send_signal(number)

    def ask_to_stop(self) -> None:
        """Send SIGTERM once: a second one would cut a Celery worker's warm shutdown short."""
        if not self._was_asked:
            self._was_asked = True
            self.signal(signal.SIGTERM)

    def kill(self) -> None:
        """`kill -9` the process alone, as in a crash; its orphans stay until `stop`."""
        if self._popen is not None:
            self._popen.kill()
            self._popen.wait()

    def stop(self, grace_seconds: float = 10) -> int | None:
        """Send SIGTERM, then SIGKILL to the whole group after the grace period; return the exit code.

        Raises EmbeddedStackError if a process of the group stays alive. Ctrl-C during the grace period kills at once.
        """
        if self._popen is None:
            return None
        popen = self._popen
        try:
            self.ask_to_stop()
            with contextlib.suppress(subprocess.TimeoutExpired):
                popen.wait(grace_seconds)
        finally:
            self._kill_group(popen)
        return popen.returncode

    def _kill_group(self, popen: subprocess.Popen[bytes]) -> None:
        def is_empty() -> bool:
            has_ended = popen.poll() is not None
            alive = group_members(popen.pid)
            if alive:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(popen.pid, signal.SIGKILL)
            return has_ended and not alive

        if not wait_until(is_empty, seconds=KILL_SECONDS):
            raise EmbeddedStackError(f"{self.name}: processes {group_members(popen.pid)} do not end")
        if self._guard:
            self._guard.forget(popen.pid)
        self._popen = None


def group_members(group_id: int) -> list[int]:
    """Return the ids of the live processes in a group; zombies have ended and do not count."""
    return [pid for pid, group, state in _process_table() if group == group_id and not state.startswith("Z")]


def _process_table() -> list[tuple[int, int, str]]:
    proc = Path("/proc")
    if not (proc / "self" / "stat").exists():
        rows = subprocess.check_output(["ps", "-A", "-o", "pid=,pgid=,stat="], text=True)  # noqa: S607 - wherever ps is
        return [(int(pid), int(group), state) for pid, group, state in map(str.split, rows.splitlines())]
    table = []
    for stat in proc.glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            state, _, group = stat.read_text(errors="replace").rpartition(")")[2].split()[:3]
            table.append((int(stat.parent.name), int(group), state))
    return table
