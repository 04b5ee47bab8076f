"""Parses a file into rows: CSV with a header, one JSON object a line, or one loginId a line.

The first line that is neither blank nor a comment decides the format. An invalid row keeps its line and a reason that
names the field and the rule, never a value; the rules are those of an event.
"""

import csv
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import from_json

from worker.backfill.codec import KEEP_RAW_BYTES
from worker.backfill.csv_cells import restored_text
from worker.backfill.file_columns import ACCOUNT, INSTANCE, LOGIN, REASON, role_of, roles_in, shown
from worker.backfill.file_lines import MAX_LINE_BYTES, STANDARD_INPUT, Line, Lines, opened
from worker.backfill.models import Row
from worker.errors import UnreadableFile
from worker.events.contract import reason_of
from worker.events.models import Opaque

DELIMITERS = (",", ";", "\t")
MAX_RECORD_LINES = 20
"""Maximum further lines of a quoted field. A quote that is still open after them is a stray one."""
_UNNAMED = 1000
_PLAIN = re.compile(r"[!-~](?:[ -~]{0,254}[!-~])?")
_TOO_LONG = f"line: longer than {MAX_LINE_BYTES} bytes"
_NOT_UTF8 = "line: is not UTF-8"


class _Contract(BaseModel):
    """The fields of an event that a row has too, with the rules of an event."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    login_id: Opaque
    account_id: Opaque | None = None


@dataclass(frozen=True, slots=True)
class Form:
    """The format of a file. `header` is its first line, unchanged (CSV only)."""

    kind: Literal["csv", "ndjson", "plain"]
    header: str = ""
    delimiter: str = ""

    @property
    def has_reasons(self) -> bool:
        """Whether this is a CSV of rejected rows that `report.py` wrote."""
        return self.kind == "csv" and next(csv.reader([self.header], delimiter=self.delimiter))[0] == REASON

    def to_text(self) -> str:
        """Return the form as one line, to be stored in the ledger."""
        return json.dumps([self.kind, self.header, self.delimiter])

    @classmethod
    def from_text(cls, text: str) -> "Form":
        """Parse what `to_text` returned; an empty text is the plain form."""
        return cls(*json.loads(text)) if text else cls("plain")


@dataclass(frozen=True)
class Source:
    """An open file: its base name, its form, and its rows, which can be read once."""

    name: str
    form: Form
    rows: Iterator[Row]


@contextmanager
def open_rows(path: str, *, instance: str) -> Iterator[Source]:
    """Open a path or `-`; a row of another instance is invalid. Raises UnreadableFile, also while rows are read."""
    with opened(path) as lines:
        form = _form(lines)
        rows = {"csv": _csv_rows, "ndjson": _json_rows, "plain": _plain_rows}[form.kind](lines, form, instance)
        yield Source("standard input" if path == STANDARD_INPUT else PurePath(path).name, form, rows)


def _form(lines: Lines) -> Form:
    first = next((line for line in lines if not _is_blank_or_comment(line[1])), None)
    if first is None:
        return Form("plain")
    text = first[1].decode("utf-8", "replace").strip()
    if text.startswith("["):
        raise UnreadableFile("the file is a JSON array: write one object a line")
    if "\r" in text:
        raise UnreadableFile("the file's lines end with a bare carriage return: save it with LF or CRLF line ends")
    if not text.startswith("{"):
        for delimiter in DELIMITERS:
            names = next(csv.reader([text], delimiter=delimiter))
            if LOGIN in roles_in(names):
                return Form("csv", text, delimiter)
        _refuse_columns_without_login(text)
    lines.give_back([first])
    return Form("ndjson" if text.startswith("{") else "plain")


def _is_blank_or_comment(content: bytes) -> bool:
    return not content.strip() or content.lstrip().startswith(b"#")


def _refuse_columns_without_login(text: str) -> None:
    delimiter = max(DELIMITERS, key=text.count)
    if delimiter in text:
        names = shown(next(csv.reader([text], delimiter=delimiter)))
        raise UnreadableFile(
            f"the file has columns, but its first line names none of them loginId (or login_id, login). Found: {names}"
        )


def _plain_rows(lines: Lines, _: Form, __: str) -> Iterator[Row]:
    for line in lines:
        text = _text(line)
        if isinstance(text, Row):
            yield text
        elif not (value := text.strip(" ")) or value.startswith("#"):
            continue
        elif any(delimiter in value for delimiter in DELIMITERS):
            yield _invalid(line, "line: has columns, but the file's first line is not a header")
        else:
            yield _row(line, value, None)


def _json_rows(lines: Lines, _: Form, instance: str) -> Iterator[Row]:
    for line in lines:
        text = _text(line)
        if isinstance(text, Row):
            yield text
        elif text and not text.isspace() and not text.startswith("#"):
            try:
                document = from_json(line[1], allow_inf_nan=False)
            except ValueError:
                yield _invalid(line, "line: is not JSON")
            else:
                yield _from_document(line, document, instance)


def _from_document(line: Line, document: object, instance: str) -> Row:
    if not isinstance(document, dict):
        return _invalid(line, "line: is not an object")
    fields: dict[str, Any] = {}
    ranks: dict[str, int] = {}
    inner = document.get("data")
    for part in (document, inner if isinstance(inner, dict) else {}):
        _collect_fields(part, fields, ranks)
    if LOGIN not in fields:
        return _invalid(line, "login_id: is required")
    return _checked(line, fields[LOGIN], fields.get(ACCOUNT), fields.get(INSTANCE), instance)


def _collect_fields(part: Mapping[str, Any], fields: dict[str, Any], ranks: dict[str, int]) -> None:
    """Keep the value with the most certain name for each role; of two equal ones, the first."""
    for name, value in part.items():
        known = role_of(name)
        if known and value is not None and known[1] < ranks.get(known[0], _UNNAMED):
            fields[known[0]], ranks[known[0]] = value, known[1]


def _csv_rows(lines: Lines, form: Form, instance: str) -> Iterator[Row]:
    header = next(csv.reader([form.header], delimiter=form.delimiter))
    places, width, delimiter, is_ours = roles_in(header), len(header), form.delimiter, form.has_reasons
    login_at, account_at, instance_at = places[LOGIN], places.get(ACCOUNT), places.get(INSTANCE)
    for line in lines:
        text = _text(line)
        if isinstance(text, Row):
            yield text
            continue
        if not text or text.isspace():
            continue
        if '"' in text:
            line, fields = _quoted(lines, line, text, form, width)  # noqa: PLW2901 - a record of several lines
        else:
            fields = text.split(delimiter)
        if fields is None:
            yield _invalid(line, "line: a quote is not closed, or text follows it")
        elif len(fields) != width:
            yield _invalid(line, f"line: has {len(fields)} fields, the header {width}")
        else:
            fields = [restored_text(field) for field in fields] if is_ours else fields
            account = None if account_at is None else fields[account_at].strip(" ")
            its_instance = None if instance_at is None else fields[instance_at].strip(" ")
            yield _checked(line, fields[login_at].strip(" "), account, its_instance, instance)


def _quoted(lines: Lines, first: Line, text: str, form: Form, width: int) -> tuple[Line, list[str] | None]:
    """Return a record with quotes, which may take several lines, and its fields.

    If those lines do not make a record of the right width, the further lines are given back, and there are no fields.
    """
    further: list[Line] = []

    def parts() -> Iterator[str]:
        yield text + "\n"
        while len(further) < MAX_RECORD_LINES and (line := next(lines, None)) is not None:
            further.append(line)
            yield line[1].decode("utf-8", "replace") + "\n"

    try:
        fields = next(csv.reader(parts(), delimiter=form.delimiter, strict=True))
    except csv.Error:
        fields = None
    if further and (fields is None or len(fields) != width):
        lines.give_back(further)
        return first, None
    return (first[0], b"\n".join([first[1], *(content for _, content in further)])), fields


def _checked(line: Line, login: object, account: object, its_instance: object, instance: str) -> Row:
    if its_instance and its_instance != instance:
        return _invalid(line, "instance: is not the backfill's instance")
    return _row(line, login, account)


def _row(line: Line, login: Any, account: Any) -> Row:
    """Return a valid row, or an invalid one with the reason that an event would be rejected for."""
    try:
        if _PLAIN.fullmatch(login) and (not account or _PLAIN.fullmatch(account)):
            return Row(line[0], login, account or None)
    except TypeError:
        pass  # a JSON value that is not a string
    if login == "":
        return _invalid(line, "login_id: is empty")
    try:
        _Contract(login_id=login, account_id=account or None)
    except ValidationError as error:
        return _invalid(line, reason_of(error))
    return Row(line[0], login, account or None)


def _text(line: Line) -> str | Row:
    if len(line[1]) > MAX_LINE_BYTES:
        return _invalid(line, _TOO_LONG)
    try:
        return line[1].decode()
    except UnicodeDecodeError:
        return _invalid(line, _NOT_UTF8)


def _invalid(line: Line, problem: str) -> Row:
    return Row(line[0], "", None, problem=problem, raw=line[1][:KEEP_RAW_BYTES])
