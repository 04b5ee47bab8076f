"""Rows packed into a chunk are unpacked unchanged, whatever the file contained."""

import uuid

from hypothesis import given
from hypothesis import strategies as st

from worker.backfill.codec import KEEP_RAW_BYTES, ROWS_IN_CHUNK, pack, unpack
from worker.backfill.models import Row

rows = st.builds(
    Row,
    line=st.integers(0, 2**40),
    login_id=st.text(),
    account_id=st.none() | st.text(min_size=1),
    wants_active=st.none() | st.booleans(),
    problem=st.text(),
    raw=st.binary(max_size=40),
)


@given(st.lists(rows, max_size=8))
def test_packed_rows_are_unpacked_unchanged(packed: list[Row]) -> None:
    assert unpack(pack(packed)) == packed


def test_a_chunk_of_guids_takes_about_twenty_bytes_a_row() -> None:
    chunk = [Row(line, str(uuid.uuid4())) for line in range(2, ROWS_IN_CHUNK + 2)]
    assert len(pack(chunk)) < 24 * ROWS_IN_CHUNK


def test_an_overlong_line_is_cut_to_its_beginning() -> None:
    (row,) = unpack(pack([Row(7, "", problem="is too long", raw=b"x" * 10_000)]))
    assert len(row.raw) == KEEP_RAW_BYTES


def test_the_text_of_a_row_shows_neither_the_loginid_nor_the_line() -> None:
    assert "secret" not in repr(Row(1, "secret", raw=b"secret"))
