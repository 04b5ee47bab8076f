"""Reading the lines of a history, as Redis has them and as a person may have damaged them."""

import pytest

from worker.ledger.history import attempt_text, read_lines

UNREADABLE = {"kind": "attempt", "outcome": "unreadable"}


def test_a_repeated_attempt_has_the_time_since_the_attempt_before_it_and_the_other_values_of_that_one() -> None:
    first = attempt_text(at=1_000_000, seconds=0.25, wish=0, outcome="halt", code="ACCESS_DENIED")
    shared = {"kind": "attempt", "wish": False, "outcome": "halt", "code": "ACCESS_DENIED"}
    assert read_lines(f"{first}\n[738,1500]\n[62,null]".encode()) == [
        {"at": 1_000_000, "seconds": 0.25, **shared},
        {"at": 1_000_738, "seconds": 1.5, **shared},
        {"at": 1_000_800, **shared},
    ]


@pytest.mark.parametrize("before", ["", "[1]\n", "[null,1,1,1]\n", '["x",1,1,1]\n', "{\n", "[1e400,1,1]\n", "[1,2]\n"])
@pytest.mark.parametrize("line", ["[738,250]", '["738",250]', "[-1,250]", "[null,250]"])
def test_a_repeated_attempt_is_unreadable_without_a_readable_time(before: str, line: str) -> None:
    assert read_lines((before + line).encode())[-1] == UNREADABLE


def test_an_attempt_without_an_outcome_is_transient() -> None:
    (line,) = read_lines(attempt_text(at=1, outcome="transient", code="timeout").encode())
    assert line == {"kind": "attempt", "at": 1, "outcome": "transient", "code": "timeout"}
