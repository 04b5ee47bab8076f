"""Logging that a test starts and reads."""

import io
import sys
from collections.abc import Callable, Iterator
from typing import Literal

import pytest

from tests.restored_logging import restored_logging
from tests.unit.telemetry.captured import CANARIES, Lines
from worker.telemetry.logs import configure_logging


@pytest.fixture
def canaries() -> tuple[str, ...]:
    """A GUID login, an opaque one, one that no pattern recognises, and a key."""
    return CANARIES


@pytest.fixture
def lines(start_logging: Callable[..., Lines]) -> Lines:
    """JSON logging to a stream that the test can read."""
    return start_logging("json")


@pytest.fixture
def start_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Lines]]:
    """Start logging in a format; `is_terminal`: whether stderr claims to be a terminal."""
    with restored_logging():
        yield lambda log_format, **options: _start(monkeypatch, log_format, **options)


def _start(
    monkeypatch: pytest.MonkeyPatch, log_format: Literal["json", "console"] | None, *, is_terminal: bool = False
) -> Lines:
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: is_terminal)
    monkeypatch.setattr(sys, "stderr", stream)
    configure_logging(log_format=log_format, log_level="DEBUG")
    return Lines(stream)
