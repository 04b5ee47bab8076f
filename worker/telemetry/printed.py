"""Keeps what a server process prints in the format of its log: with JSON, every line of stdout and stderr is JSON."""

import io
import logging
import sys
from collections.abc import Sequence
from typing import TextIO

from worker.telemetry.logs import LogFormat, configure_logging, get_logger, writes_json

log = get_logger(__name__)


def print_reasons(reasons: Sequence[str], *, log_format: LogFormat | None) -> None:
    """Tell why a process does not start, on stderr: plain text for a person, or a log line for each reason."""
    if writes_json(log_format):
        configure_logging(log_format="json", log_level="INFO")
        for reason in reasons:
            log.critical("start_refused", reason=reason)
    else:
        for reason in reasons:
            print(reason, file=sys.stderr)  # noqa: T201 - a person is waiting


def log_printed_lines() -> None:
    """Make a log line, already scrubbed, of every line that any code prints from now on. Call it after configuring."""
    sys.stdout = _Printed(sys.stdout, "stdout", logging.INFO)
    sys.stderr = _Printed(sys.stderr, "stderr", logging.WARNING)


class _Printed(io.TextIOBase):
    """A text stream that logs its lines."""

    def __init__(self, original: TextIO, name: str, level: int) -> None:
        self.original, self._logger, self._level = original, logging.getLogger(name), level
        self._rest = ""

    def write(self, text: str) -> int:
        """Log each whole line, and keep the rest until its end is written."""
        *lines, self._rest = (self._rest + text).split("\n")
        for line in filter(str.strip, lines):
            self._logger.log(self._level, line)
        return len(text)

    def fileno(self) -> int:
        """Return the descriptor of the original stream."""
        return self.original.fileno()
