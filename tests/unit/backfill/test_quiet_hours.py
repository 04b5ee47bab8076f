"""A backfill rests in its quiet hours, by the clock of their time zone."""

from datetime import UTC, datetime

import pytest

from worker.backfill.quiet_hours import QuietHours
from worker.errors import BackfillError


def is_quiet(hours: str, at: str, zone: str = "") -> bool:
    read = QuietHours.read(hours, zone)
    assert read is not None
    moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
    return read.include(int(moment.timestamp() * 1000))


@pytest.mark.parametrize(
    ("at", "rests"),
    [
        ("2026-11-22T21:59:59", False),
        ("2026-11-22T22:00:00", True),
        ("2026-11-23T05:59:59", True),
        ("2026-11-23T06:00:00", False),
    ],
)
def test_hours_over_midnight_begin_in_the_evening_and_end_in_the_morning(at: str, rests: bool) -> None:  # noqa: FBT001 - a row
    assert is_quiet("22:00-06:00", at) is rests


@pytest.mark.parametrize(("at", "rests"), [("08:59", False), ("09:00", True), ("16:59", True), ("17:00", False)])
def test_hours_within_one_day_end_on_that_day(at: str, rests: bool) -> None:  # noqa: FBT001 - a row
    assert is_quiet("09:00-17:00", f"2026-11-22T{at}:00") is rests


def test_the_clock_follows_the_time_zone_in_summer_too() -> None:
    assert is_quiet("09:00-17:00", "2026-01-15T14:00:00", "America/Toronto")
    assert not is_quiet("09:00-17:00", "2026-01-15T13:30:00", "America/Toronto")
    assert is_quiet("09:00-17:00", "2026-07-15T13:30:00", "America/Toronto")


def test_no_text_means_no_quiet_hours() -> None:
    assert QuietHours.read("") is None


@pytest.mark.parametrize("hours", ["22-6", "24:00-06:00", "22:00-06:60", "22:00", "22:00-06:00 ", "٢٢:00-06:00"])
def test_hours_that_cannot_be_read_are_refused(hours: str) -> None:
    with pytest.raises(BackfillError, match="HH:MM-HH:MM"):
        QuietHours.read(hours)


def test_hours_that_begin_and_end_at_the_same_time_are_refused() -> None:
    with pytest.raises(BackfillError, match="at the same time"):
        QuietHours.read("06:00-06:00")


@pytest.mark.parametrize("zone", ["Nowhere/Town", "../etc/passwd", "/etc/localtime", "\0"])
def test_an_unknown_time_zone_is_refused(zone: str) -> None:
    with pytest.raises(BackfillError, match="time zone is not known"):
        QuietHours.read("22:00-06:00", zone)
