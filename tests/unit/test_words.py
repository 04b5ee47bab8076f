"""Times and durations in words."""

import pytest

from worker.words import ago, iso, span, utc, when


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (226, "4 min"),
        (3599, "1 h"),
        (7500, "2 h 5 min"),
        (86_399, "1 d"),
        (97_200, "1 d 3 h"),
        (172_800, "2 d"),
        (1_000_000, "12 d"),
    ],
)
def test_a_duration_is_shown_to_the_nearest_unit(seconds: float, words: str) -> None:
    assert span(seconds) == words


def test_a_time_is_past_future_or_now() -> None:
    assert ago(1000, 61_000) == "1 min ago"
    assert ago(61_000, 1000) == "in 1 min"
    assert ago(1000, 1400) == "just now"


def test_a_time_is_shown_in_utc_and_one_beyond_the_last_year_as_a_number() -> None:
    assert when(0) == "1970-01-01 00:00:00"
    assert utc(1000) == "1970-01-01 00:00:01 UTC"
    assert iso(1234) == "1970-01-01T00:00:01.234Z"
    assert when(10**20) == str(10**20)
