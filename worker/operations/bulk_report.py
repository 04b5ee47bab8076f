"""The report of a bulk job: one line a letter, in the order of its list. It has no loginIds."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping

from worker.backfill.csv_cells import neutral_text
from worker.backfill.job_models import LetterResult
from worker.words import iso

COLUMNS = ("number", "letter", "login", "instance", "code", "wish", "outcome", "reason", "ended_at", "closed_by")
"""`code` and `wish` are the letter's; `reason` is the code of the outcome."""
Line = Mapping[str, str | int | None]


def documents(results: Iterable[LetterResult]) -> Iterator[Line]:
    """Yield the lines of a report: COLUMNS. What a line does not have is None."""
    for number, one in enumerate(results, 1):
        about = one.letter, one.login, one.instance, one.letter_code, one.wish
        ending = one.outcome.value, one.code, None if one.at_ms is None else iso(one.at_ms), one.closed_by
        yield {name: value or None for name, value in zip(COLUMNS, (number, *about, *ending), strict=True)}


def csv_lines(lines: Iterable[Line]) -> Iterator[bytes]:
    """Yield the report as CSV, the header first.

    A cell that a spreadsheet would run as a formula is neutralised, and unprintable characters become `?`.
    """
    yield _line(COLUMNS)
    for line in lines:
        yield _line([_cell(line[name]) for name in COLUMNS])


def json_lines(lines: Iterable[Line]) -> Iterator[bytes]:
    """Yield the report as one JSON object a line."""
    for line in lines:
        yield json.dumps(line).encode() + b"\n"


def _cell(value: str | int | None) -> str:
    text = "" if value is None else str(value)
    return neutral_text("".join(char if char.isprintable() else "?" for char in text))


def _line(cells: Iterable[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode("utf-8", "replace")
