"""Writes the file by which `nightly` commands in other shells find the running stack (worker/config/sources.py).

The run holds a lock on it. The system releases the lock even after `kill -9`, so a dead run is never taken for alive,
and a second run in the same folder is refused.
"""

import fcntl
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from sandbox.stack.private_files import private_folder
from sandbox.stack.waiting import wait_until
from worker.config.sources import RUN_FILE
from worker.errors import EmbeddedStackError

LOCK_SECONDS = 1.0
"""A command that just looks whether the run is alive holds the lock for a moment."""


class RunFile:
    """The locked file in `folder`, a context manager; empty until the stack is up, and removed at the end."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / RUN_FILE.name
        self._file: int | None = None

    def __enter__(self) -> Self:
        """Create and lock the file; raises EmbeddedStackError if another run has locked it."""
        private_folder(self._path.parent)
        self._file = wait_until(self._lock, seconds=LOCK_SECONDS)
        if self._file is None:
            found = re.match(r"# pid (\d+)", self._path.read_text(errors="replace"))
            process = f" (process {found[1]})" if found else ""
            raise EmbeddedStackError(f"`nightly run` already runs in this folder{process}; stop that one first.")
        os.truncate(self._file, 0)
        os.write(self._file, f"# pid {os.getpid()}\n".encode())
        return self

    def write(self, settings: Mapping[str, str]) -> None:
        """Write the settings, which from now on apply to other shells."""
        if self._file is not None:
            lines = (f"{name}={value}\n" for name, value in settings.items())
            os.write(self._file, "".join(lines).encode())

    def __exit__(self, *_: object) -> None:
        """Remove the file, then release the lock."""
        if self._file is not None:
            self._path.unlink(missing_ok=True)
            os.close(self._file)

    def _lock(self) -> int | None:
        """Return the locked file, or None if another process has locked it, or has just removed it."""
        file = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if self._path.exists() and os.fstat(file).st_ino == self._path.stat().st_ino:
                return file
        except BlockingIOError:
            pass
        os.close(file)
        return None
