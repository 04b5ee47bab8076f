"""The report of a bulk job: one line a letter, in the order of its list. It has no loginIds."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime

from worker.backfill.csv_cells import neutral_text
from worker.backfill.job_models import LetterResult

COLUMNS = ("letter", "login", "instance", "code", "wish", "outcome", "reason", "closed_by", "ended_at")
"""`code` and `wish` are the letter's; `reason` is the code of the outcome."""


def documents(results: Iterable[LetterResult]) -> Iterator[dict[str, str | None]]:
    """Yield the lines of a report: COLUMNS. What a line does not have is None."""
    for one in results:
        values = (
            *(one.letter, one.login, one.instance, one.letter_code, one.wish),
            *(one.outcome.value, one.code, one.closed_by, None if one.at_ms is None else _time(one.at_ms)),
        )
        yield {name: value or None for name, value in zip(COLUMNS, values, strict=True)}


def csv_lines(lines: Iterable[Mapping[str, str | None]]) -> Iterator[bytes]:
    """Yield the report as CSV, the header first; a cell that a spreadsheet would run as a formula is neutralised."""
    yield _line(COLUMNS)
    for line in lines:
        yield _line([neutral_text(line[name] or "") for name in COLUMNS])


def json_lines(lines: Iterable[Mapping[str, str | None]]) -> Iterator[bytes]:
    """Yield the report as one JSON object a line."""
    for line in lines:
        yield json.dumps(line).encode() + b"\n"


def _line(cells: Iterable[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode("utf-8", "replace")


def _time(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%dT%H:%M:%S.000Z}"
