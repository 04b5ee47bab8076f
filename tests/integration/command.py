"""Runs `nightly ...` in the test's own process, which saves the imports of a new process.

cli/test_process.py tests it as a process: exit status, pipes, signals.
"""

import io
import subprocess
import sys

import pytest

from tests.restored_logging import restored_logging
from worker.cli import main

Done = subprocess.CompletedProcess[str]


class Command:
    """`nightly`, with its own settings for each run; `never_shown`: text that no output may contain."""

    def __init__(self, capfd: pytest.CaptureFixture[str], *, never_shown: str = "Traceback") -> None:
        self._capfd, self._never_shown = capfd, never_shown

    def __call__(self, *arguments: str, stdin: str = "", **settings: str) -> Done:
        """Run the command; no output may contain a traceback."""
        self._capfd.readouterr()
        with restored_logging(), pytest.MonkeyPatch.context() as here:
            here.setattr(sys, "argv", ["nightly", *arguments])
            here.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
            for name, value in settings.items():
                here.setenv(name, value)
            try:
                status = main()
            except SystemExit as error:
                status = int(error.code or 0)
        done = Done(arguments, status, *self._capfd.readouterr())
        assert not [word for word in (self._never_shown, "Traceback") if word in done.stdout + done.stderr]
        return done
