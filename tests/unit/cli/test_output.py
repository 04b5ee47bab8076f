import pytest

from worker.cli.output import ago, plain, span, when


def test_control_characters_are_not_printed() -> None:
    assert plain("a\x1b[31mb\u202ec\nd") == "a?[31mb?c?d"


def test_a_missing_value_is_a_dash() -> None:
    assert [plain(None), plain(""), when(None), ago(None, 0)] == ["-"] * 4


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (60, "1 min"), (3600, "1 h"), (7500, "2 h 5 min"), (90_000, "1 d")]
)  # fmt: skip
def test_a_duration_is_shown_in_words(seconds: float, words: str) -> None:
    assert span(seconds) == words


def test_a_time_is_shown_as_past_or_future() -> None:
    assert ago(1000, 61_000) == "1 min ago"
    assert ago(61_000, 1000) == "in 1 min"
    assert when(0) == "1970-01-01 00:00:00"
