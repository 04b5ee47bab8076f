"""Waiting in tests: polls a condition with a deadline, and reports what did not come true."""

from collections.abc import Callable
from typing import TypeVar

from sandbox.stack import wait_until

T = TypeVar("T")


def eventually(condition: Callable[[], T], *, seconds: float = 10, describe: str = "the condition") -> T:
    """Poll until `condition` is truthy and return its value; fails the test when the time is up."""
    value = wait_until(condition, seconds=seconds)
    assert value, f"{describe} did not come true within {seconds} s (last value: {value!r})"
    return value
