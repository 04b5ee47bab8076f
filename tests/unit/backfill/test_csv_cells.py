"""A CSV cell that a spreadsheet would run as a formula is made harmless, and can be restored."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.backfill.csv_cells import neutral_text, neutralised_line, restored_text

CELLS = st.text(st.sampled_from("=+-@\t\r\n'\",;|a1 \u00e9"), max_size=12)


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ('=HYPERLINK("//evil")', "'=HYPERLINK(\"//evil\")"),
        ("+1", "'+1"), ("-1", "'-1"), ("@SUM(A1)", "'@SUM(A1)"), ("\t=1", "'\t'=1"), ("\r1", "'\r1"),
        ('x";=1', 'x";\'=1'), ("x,=1", "x,'=1"), ("'=1", "''=1"),
        ("cust-1", "cust-1"), ("a=b", "a=b"), ("it's", "it's"), ("", ""),
    ],
)  # fmt: skip
def test_an_apostrophe_is_put_before_a_cell_that_begins_a_formula(cell: str, written: str) -> None:
    assert neutral_text(cell) == written


@given(CELLS)
def test_no_cell_begins_a_formula_and_each_is_restored_exactly(cell: str) -> None:
    written = neutral_text(cell)
    assert not re.search(r"(?:^|[\",;|\t\r\n])[=+\-@\t\r]", written)
    assert restored_text(written) == cell


def test_tabs_between_cells_are_kept() -> None:
    assert neutralised_line(b"\t\t=1\t", b"\t") == b"\t\t'=1\t"
