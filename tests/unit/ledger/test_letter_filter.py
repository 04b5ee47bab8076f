"""The filter of dead letters as the query of a URL."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.errors import InvalidFilter
from worker.ledger.letter_filter import STATES, WISHES, LetterFilter

NAMES = st.none() | st.text(st.characters(codec="utf-8"), min_size=1, max_size=20).map(str.strip).filter(bool)
TIMES = st.none() | st.integers(0, 253_402_300_799_000)
FILTERS = st.builds(
    LetterFilter,
    instance=NAMES,
    code=NAMES,
    wish=st.none() | st.sampled_from(WISHES),
    source=NAMES,
    filed_after=TIMES,
    filed_before=TIMES,
    attempts_at_least=st.none() | st.integers(0, 999),
    owner=NAMES,
    state=st.sampled_from(STATES),
    newer_event=st.booleans(),
    only_suspects=st.booleans(),
)


@given(FILTERS)
def test_a_filter_survives_the_way_through_a_url(wanted: LetterFilter) -> None:
    assert LetterFilter.from_query(wanted.to_query()) == wanted


def test_empty_and_unknown_fields_of_a_form_say_nothing() -> None:
    assert LetterFilter.from_query({"code": " ", "owner": "", "size": "50", "after": "x"}) == LetterFilter()
    assert LetterFilter().to_query() == {}


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("1700000000000", 1_700_000_000_000),
        ("2023-11-14", 1_699_920_000_000),
        ("2023-11-14T22:13", 1_699_999_980_000),
        ("2023-11-14T22:13:20Z", 1_700_000_000_000),
        ("2023-11-14T23:13:20+01:00", 1_700_000_000_000),
        ("90m", 1_700_000_000_000 - 5_400_000),
        ("24h", 1_700_000_000_000 - 86_400_000),
        ("7d", 1_700_000_000_000 - 7 * 86_400_000),
    ],
)
def test_a_time_is_a_number_a_date_or_an_age(text: str, at: int) -> None:
    assert LetterFilter.from_query({"filed_after": text}, now_ms=1_700_000_000_000).filed_after == at


@pytest.mark.parametrize(
    "query",
    [
        {"state": "closing"},
        {"wish": "1"},
        {"filed_after": "yesterday"},
        {"filed_after": "7d"},
        {"filed_before": "9" * 30},
        {"filed_before": "²"},
        {"attempts_at_least": "-1"},
        {"attempts_at_least": "two"},
        {"newer_event": "maybe"},
        {"owner": "x" * 201},
    ],
)
def test_a_wrong_value_is_refused_without_repeating_it(query: dict[str, Any]) -> None:
    (value,) = query.values()
    with pytest.raises(InvalidFilter) as refused:
        LetterFilter.from_query(query)
    assert len(value) < 3 or value not in str(refused.value)
