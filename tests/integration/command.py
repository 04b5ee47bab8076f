"""Runs `nightly ...` in the test's own process: the whole command, without the imports that each new process costs.

That the command is a process too (its exit status, its pipes, a signal) is tested in cli/test_process.py.
"""

import io
import subprocess
import sys

import pytest

from tests.restored_logging import restored_logging
from worker.cli import main

Done = subprocess.CompletedProcess[str]


class Command:
    """`nightly`, with settings of the test's own for each run; `never_shown`: what no output may ever hold."""

    def __init__(self, capfd: pytest.CaptureFixture[str], *, never_shown: str = "Traceback") -> None:
        self._capfd, self._never_shown = capfd, never_shown

    def __call__(self, *arguments: str, stdin: str = "", **settings: str) -> Done:
        """Run it to its end; nobody may ever see a traceback."""
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
