import io

import pytest

from worker.cli.publication import LINES_NAMED, BadLines
from worker.cli.publish import read_lines
from worker.events.contract import MAX_BODY_BYTES


def read(content: bytes) -> tuple[list[object], BadLines]:
    bad = BadLines()
    return list(read_lines(io.BufferedReader(io.BytesIO(content)), bad)), bad  # type: ignore[arg-type] # BytesIO is raw enough


def test_each_line_is_an_event_and_empty_ones_are_skipped() -> None:
    assert read(b'{"a": 1}\n\n  \r\n{"a": 2}')[0] == [{"a": 1}, {"a": 2}]


def test_an_invalid_line_is_named_by_number_never_by_content(capsys: pytest.CaptureFixture[str]) -> None:
    events, bad = read(b'{"a": 1}\ncanary\n{"a": 2}\n\xff\xfe\n')
    assert (len(events), bad.count) == (2, 2)
    told = capsys.readouterr().err
    assert "line 2: is not JSON" in told
    assert "line 4" in told
    assert "canary" not in told


def test_an_overlong_line_is_skipped_and_the_next_one_is_read() -> None:
    endless = b"x" * (2 * MAX_BODY_BYTES + 10)
    events, bad = read(endless + b'\n{"a": 1}\n' + endless)
    assert (events, bad.count) == ([{"a": 1}], 2)


def test_a_file_of_another_format_does_not_flood_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    _, bad = read(b"no\n" * (LINES_NAMED + 50))
    assert bad.count == LINES_NAMED + 50
    assert len(capsys.readouterr().err.splitlines()) == LINES_NAMED + 1
