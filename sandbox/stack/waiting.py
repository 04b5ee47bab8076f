"""Polls a condition until it holds or a deadline passes.

The embedded stack and its tests use this instead of sleeping for a fixed time.
"""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(condition: Callable[[], T], *, seconds: float, every_seconds: float = 0.02) -> T:
    """Poll `condition` until it is truthy or the time is up; return its last value, falsy on timeout."""
    deadline = time.monotonic() + seconds
    while not (value := condition()) and time.monotonic() < deadline:
        time.sleep(every_seconds)
    return value
