"""Waits until a condition holds, by polling it against a deadline.

Nothing in the embedded stack or in its tests sleeps for a guessed time.
"""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(condition: Callable[[], T], *, seconds: float, every_seconds: float = 0.02) -> T:
    """Poll `condition` until it is truthy or the time is up; return its last value, so a falsy one means "too late"."""
    deadline = time.monotonic() + seconds
    while not (value := condition()) and time.monotonic() < deadline:
        time.sleep(every_seconds)
    return value
