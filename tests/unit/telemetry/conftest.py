"""Logging is the whole process': what a test changes is put back."""

import io
import logging
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import pytest
import structlog

from tests.unit.telemetry.captured import CANARIES, Lines
from worker.telemetry.logs import TALKATIVE_LOGGERS, configure_logging


@pytest.fixture
def canaries() -> tuple[str, ...]:
    """A GUID login, an opaque one, one that no pattern knows, and a key."""
    return CANARIES


@pytest.fixture
def lines(start_logging: Callable[..., Lines]) -> Lines:
    """JSON logging to a stream that the test can read."""
    return start_logging("json")


@pytest.fixture
def start_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Lines]]:
    """Start logging in a format; `is_terminal` says what stderr claims to be."""
    with _restored(monkeypatch):
        yield lambda log_format, **options: _start(monkeypatch, log_format, **options)


def _start(
    monkeypatch: pytest.MonkeyPatch, log_format: Literal["json", "console"] | None, *, is_terminal: bool = False
) -> Lines:
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: is_terminal)
    monkeypatch.setattr(sys, "stderr", stream)
    configure_logging(log_format=log_format, log_level="DEBUG")
    return Lines(stream)


@contextmanager
def _restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in TALKATIVE_LOGGERS}
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    yield
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)
    structlog.reset_defaults()
