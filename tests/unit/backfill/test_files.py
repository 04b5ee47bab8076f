"""Rows of every file format are read as they were written; an invalid row has a reason that repeats no content."""

import csv
import gzip
import io
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from worker.backfill import file_lines as lines_module
from worker.backfill.file_columns import role_of
from worker.backfill.file_lines import MAX_LINE_BYTES
from worker.backfill.file_rows import Form, open_rows
from worker.backfill.models import Row
from worker.errors import UnreadableFile

Pair = tuple[str, str | None]
Pack = Callable[[bytes], bytes]
GUID = "0b2f7a6e-6c1d-4d8e-9f5a-1c2d3e4f5a6b"
OPAQUE = st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"]), min_size=1).filter(
    lambda text: len(text) <= 256 and text.isprintable() and text == text.strip()
)
PAIRS = st.lists(st.tuples(OPAQUE, st.none() | OPAQUE), min_size=1, max_size=20)


def rows_of(content: bytes, path: Path, instance: str = "toolbox") -> list[Row]:
    path.write_bytes(content)
    with open_rows(str(path), instance=instance) as source:
        return list(source.rows)


def pairs_of(rows: Sequence[Row]) -> list[Pair]:
    assert [row.problem for row in rows] == [""] * len(rows)
    return [(row.login_id, row.account_id) for row in rows]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logins"


def as_csv(pairs: Sequence[Pair], names: Sequence[str], delimiter: str, line_end: str) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator=line_end)
    writer.writerow(names)
    writer.writerows((f"note {number}", login, account or "") for number, (login, account) in enumerate(pairs))
    return out.getvalue().encode()


@given(
    pairs=PAIRS,
    login=st.sampled_from(["loginId", "login_id", "LoginId", "LOGIN-ID", "login", "Flinks Login Id"]),
    account=st.sampled_from(["account_id", "accountId", "customer_id", "Account", "Customer ID"]),
    delimiter=st.sampled_from([",", ";", "\t"]),
    line_end=st.sampled_from(["\n", "\r\n"]),
    bom=st.sampled_from([b"", b"\xef\xbb\xbf"]),
    pack=st.sampled_from([bytes, gzip.compress]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
def test_a_csv_file_is_read_as_it_was_written(
    path: Path, pairs: list[Pair], login: str, account: str, delimiter: str, line_end: str, bom: bytes, pack: Pack
) -> None:
    content = bom + as_csv(pairs, ["note", login, account], delimiter, line_end)
    assert pairs_of(rows_of(pack(content), path)) == pairs


@given(
    pairs=PAIRS, names=st.sampled_from([("loginId", "accountId"), ("login_id", "account_id"), ("Login", "customer")])
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
def test_json_objects_are_read_as_they_were_written(path: Path, pairs: list[Pair], names: tuple[str, str]) -> None:
    flat = [{names[0]: login, names[1]: account, "at": 1} for login, account in pairs]
    events = [{"specversion": "1.0", "subject": account, "data": {"loginId": login}} for login, account in pairs]
    for documents in (flat, events):
        content = "\n".join(json.dumps(document) for document in documents)
        assert pairs_of(rows_of(content.encode(), path)) == pairs


@given(logins=st.lists(OPAQUE.filter(lambda text: not set(text) & set(',;#{["')), min_size=1, max_size=20))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
def test_plain_logins_are_read_without_blank_lines_and_comments(path: Path, logins: list[str]) -> None:
    lines = ["", "# from the CRM", *logins, "   ", "# the end"]
    read = rows_of("\n".join(lines).encode(), path)
    if role_of(logins[0]) is None:  # else it is a header
        assert pairs_of(read) == [(login, None) for login in logins]
        assert [row.line for row in read] == list(range(3, 3 + len(logins)))


def test_line_numbers_match_the_file_even_after_a_field_of_several_lines(path: Path) -> None:
    content = b'loginId,note\na,"one\ntwo"\n\nb,three\n'
    assert [(row.line, row.login_id) for row in rows_of(content, path)] == [(2, "a"), (5, "b")]


def test_a_stray_quote_spoils_only_its_own_line(path: Path) -> None:
    rows = rows_of(b'note,loginId\n"open,secret-1\nx,b\ny,c\n"z"z,secret-2\nz,d\n', path)
    assert [row.login_id for row in rows] == ["", "b", "c", "", "d"]
    assert [row.line for row in rows] == [2, 3, 4, 5, 6]


BAD = [
    (b"loginId\tb\n\t1\n", "login_id: is empty"),
    (b"loginId,b\nsecret\n", "line: has 1 fields, the header 2"),
    (b"loginId,b\nsecret\x07,1\n", "login_id: holds a character that is not printable"),
    (b"loginId,b\nsecret\xff,1\n", "line: is not UTF-8"),
    (b"loginId,b\n" + b"s" * 257 + b",1\n", "login_id: string should have at most 256 characters"),
    (b"loginId,account\nsecret," + b"s" * 257 + b"\n", "account_id: string should have at most 256 characters"),
    (b"loginId,instance\nsecret,other\n", "instance: is not the backfill's instance"),
    (b'{"a": 1}\n', "login_id: is required"),
    (b'{"loginId": 17}\n', "login_id: must be a text"),
    (b'{"loginId": " secret"}\n', "login_id: begins or ends with a space"),
    (b'{"loginId": "secret", "accountId": 5}\n', "account_id: must be a text"),
    (b'{"loginId": "secret"\n', "line: is not JSON"),
    (b'{"loginId": "first"}\n"secret"\n', "line: is not an object"),
    (b"first\nsecret,5\n", "line: has columns, but the file's first line is not a header"),
]


@pytest.mark.parametrize(("content", "problem"), BAD)
def test_a_bad_row_says_why_and_keeps_its_line(path: Path, content: bytes, problem: str) -> None:
    row = rows_of(content, path)[-1]
    assert row.problem == problem
    assert "secret" not in row.problem
    assert row.login_id == ""
    assert row.raw == content.splitlines()[-1][:4096]


def test_a_line_of_ten_megabytes_is_one_bad_row_and_is_never_loaded_whole(path: Path) -> None:
    import tracemalloc  # noqa: PLC0415 - it slows all later code

    path.write_bytes(b"first\n" + b"x" * 10_000_000 + b"\nlast\n")
    tracemalloc.start()
    with open_rows(str(path), instance="toolbox") as source:
        rows = list(source.rows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [(row.line, row.login_id, row.problem) for row in rows] == [
        (1, "first", ""), (2, "", f"line: longer than {MAX_LINE_BYTES} bytes"), (3, "last", ""),
    ]  # fmt: skip
    assert peak < 2_000_000


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"name,token\nann,secret-1\n", "Found: name, token"),
        (f"{GUID};42\n{GUID};43\n".encode(), "Found: 2 more that are not plain words"),
        (b"[\n{}]", "JSON array"), (b"PK\x03\x04rest", "spreadsheet"), ("a".encode("utf-16"), "UTF-16"),
        (b"loginId,b\ra,1\rb,2", "carriage return"), (gzip.compress(b"a\n" * 99, mtime=0)[:-9], "truncated"),
        (gzip.compress(b"a\n" * 99, mtime=0)[:-6] + b"xxxxxx", "damaged"),
    ],
)  # fmt: skip
def test_an_unreadable_file_is_reported_without_a_login(path: Path, content: bytes, said: str) -> None:
    with pytest.raises(UnreadableFile) as caught:
        rows_of(content, path)
    assert said in str(caught.value)
    assert GUID not in str(caught.value)


def test_a_missing_file_is_reported_without_its_path(path: Path) -> None:
    with pytest.raises(UnreadableFile, match=r"No such file or directory$"), open_rows(str(path), instance="toolbox"):
        pass


def test_standard_input_may_be_compressed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stdin:
        buffer = io.BytesIO(gzip.compress(b"a\nb\n"))

    monkeypatch.setattr(lines_module.sys, "stdin", Stdin)
    with open_rows("-", instance="toolbox") as source:
        assert (source.name, [row.login_id for row in source.rows]) == ("standard input", ["a", "b"])


def test_an_empty_file_has_no_rows(path: Path) -> None:
    assert rows_of(b"\n# nothing\n", path) == []


def test_the_form_of_a_file_fits_one_line() -> None:
    form = Form("csv", 'a;"login id"', ";")
    assert Form.from_text(form.to_text()) == form
    assert Form.from_text("") == Form("plain")
    assert sys.getsizeof(form.to_text()) < 200
