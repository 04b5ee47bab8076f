"""A time is RFC 3339 with a zone, and times are ordered exactly to the microsecond."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.events.reading import ARGUMENTS, TIME, read, refusal

MALFORMED_TIME = "occurred_at: must be an RFC 3339 time such as 2026-11-22T10:00:00Z"


@pytest.mark.parametrize(
    "time",
    [
        1763805600,
        1763805600.5,
        "1763805600",
        None,
        True,
        "",
        "now",
        "2026-11-22",
        date(2026, 11, 22),
        "2026-11-22T10:00Z",
        "20261122T100000Z",
        "2026-11-22T10:00:00Z\n",
        "2026-11-22T10:00:00.Z",
        "2026-11-22T10:00:00 Z",
        "2026-11-22T10:00:00+0100",
        "2026-11-22T10:00:00+99:99",
        "2026-11-22T24:00:00Z",
        "2026-02-30T10:00:00Z",
        "2026-12-31T23:59:60Z",  # no datetime holds a leap second
        "0000-01-01T00:00:00Z",
        "٢٠٢٦-11-22T10:00:00Z",
    ],
)
def test_a_text_that_is_not_an_rfc_3339_time_is_refused(time: object) -> None:
    assert refusal({**ARGUMENTS, "occurred_at": time}) == MALFORMED_TIME


@pytest.mark.parametrize("time", ["2026-11-22T10:00:00", datetime(2026, 11, 22, 10)])  # noqa: DTZ001 - the case
def test_a_time_without_a_zone_is_refused_rather_than_guessed(time: object) -> None:
    assert refusal({**ARGUMENTS, "occurred_at": time}) == "occurred_at: needs a time zone, for example a final Z"


@pytest.mark.parametrize(
    "time",
    [
        "1969-12-31T23:59:59.999999Z",
        "2254-12-31T00:00:01Z",
        "9999-12-31T23:59:59-23:59",  # in UTC this is the year 10000
        "0001-01-01T00:00:00+23:59",
        datetime.max.replace(tzinfo=timezone(-timedelta(hours=5))),
        datetime.min.replace(tzinfo=timezone(timedelta(hours=5))),
    ],
)
def test_a_time_outside_the_range_of_the_ledger_is_refused(time: object) -> None:
    assert refusal({**ARGUMENTS, "occurred_at": time}) == "occurred_at: lies before 1970 or after 2254"


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (TIME, "2026-11-22T10:00:00+00:00"),
        ("2026-11-22t10:00:00z", "2026-11-22T10:00:00+00:00"),
        ("2026-11-22 10:00:00+00:00", "2026-11-22T10:00:00+00:00"),
        ("2026-11-22T05:00:00-05:00", "2026-11-22T10:00:00+00:00"),
        ("2026-11-22T10:00:00.1234567Z", "2026-11-22T10:00:00.123456+00:00"),  # .NET writes seven digits
        ("2026-11-22T10:00:00.999999999Z", "2026-11-22T10:00:00.999999+00:00"),
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00+00:00"),
        (datetime(2026, 11, 22, 12, tzinfo=timezone(timedelta(hours=2))), "2026-11-22T10:00:00+00:00"),
    ],
)
def test_a_time_is_kept_in_utc_to_the_microsecond(time: object, expected: str) -> None:
    assert read({**ARGUMENTS, "occurred_at": time}).occurred_at.isoformat() == expected


@given(
    st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(2254, 12, 30)),  # noqa: DTZ001 - zone follows
    st.integers(-1439, 1439),
)
@example(datetime(2254, 12, 30, 23, 59, 59, 999_999), 0)  # noqa: DTZ001 - zone follows
def test_times_are_ordered_as_instants_and_exactly_to_the_microsecond(moment: datetime, offset_minutes: int) -> None:
    local = moment.replace(tzinfo=UTC).astimezone(timezone(timedelta(minutes=offset_minutes)))
    key = read({**ARGUMENTS, "occurred_at": local.isoformat()}).occurred_us

    assert datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=key) == local
    assert int(float(key)) == key, "Lua's numbers are doubles"
    assert read({**ARGUMENTS, "occurred_at": local + timedelta(microseconds=1)}).occurred_us == key + 1
