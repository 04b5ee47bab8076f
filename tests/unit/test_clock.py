"""The clock of leases and deadlines continues while a machine is suspended."""

import time

import pytest

from worker import clock


def test_time_spent_suspended_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(clock, "_BOOT_CLOCK", 7)
    monkeypatch.setattr(time, "clock_gettime", lambda number: asked.append(number) or 4000.0)
    monkeypatch.setattr(time, "monotonic", lambda: 1.0)
    assert clock.elapsed_seconds() == 4000
    assert asked == [7]


def test_without_that_clock_only_waking_time_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "_BOOT_CLOCK", None)
    monkeypatch.setattr(time, "monotonic", lambda: 1.0)
    assert clock.elapsed_seconds() == 1
