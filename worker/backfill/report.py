"""Writes a backfill's report, one line a row in the file's order, and the rejected rows to correct and load again.

Both, and the summary's counts, come from one pass over the rows, because rows end meanwhile. The report has no loginIds
unless `reveal`. Rejected rows have them, so they are written only on request, to a file that only its owner can read.
CSV cells are neutralised (`csv_cells.py`).
"""

import csv
import io
import json
import os
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from worker.backfill.codec import ROWS_IN_CHUNK
from worker.backfill.csv_cells import neutral_text, neutralised_line, restored
from worker.backfill.file_columns import ACCOUNT, LOGIN, REASON, roles_in
from worker.backfill.file_rows import Form
from worker.backfill.loader import form_of, line_of
from worker.backfill.models import Asks, Backfill, Row, RowOutcome, RowResult
from worker.backfill.store import Backfills
from worker.errors import UnreadableFile
from worker.vault.vault import Vault
from worker.words import iso

COLUMNS = ("line", "reference", "account_id", "wish", "outcome", "code", "ended_at")
REVEALED = "login_id"
PRIVATE = 0o600
"""The mode of a file that holds loginIds."""
REJECTED = frozenset({RowOutcome.INVALID, RowOutcome.DEAD})


@dataclass(frozen=True, slots=True)
class Ended:
    """One row and its result so far."""

    row: Row
    result: RowResult


def ended_rows(backfills: Backfills, backfill: Backfill) -> Iterator[Ended]:
    """Yield every row of a backfill, in the file's order; raises redis.RedisError, UnknownBackfill, SealError."""
    for number in range(backfill.chunks):
        rows = backfills.chunk(backfill.id, number)
        results = backfills.results(backfill.id, number * ROWS_IN_CHUNK, len(rows))
        for row, result in zip(rows, results, strict=True):
            yield Ended(row, result)


def counted(ended: Iterator[Ended], counts: MutableMapping[str, int]) -> Iterator[Ended]:
    """Yield the rows, and count them by outcome."""
    for one in ended:
        counts[one.result.outcome] = counts.get(one.result.outcome, 0) + 1
        yield one


def documents(
    ended: Iterator[Ended], backfill: Backfill, vault: Vault, *, reveal: bool = False
) -> Iterator[dict[str, object]]:
    """Yield the lines of a report: COLUMNS, and `login_id` at the end if `reveal`."""
    for one in ended:
        row, result = one.row, one.result
        document: dict[str, object] = {
            "line": row.line,
            "reference": None if row.problem else vault.reference(backfill.instance, row.login_id),
            "account_id": row.account_id,
            "wish": wish_of(row, backfill),
            "outcome": result.outcome.value,
            "code": result.code or (row.problem if result.outcome is RowOutcome.INVALID else None),
            "ended_at": None if result.at_ms is None else iso(result.at_ms),
        }
        yield document | {REVEALED: row.login_id or None} if reveal else document


def wish_of(row: Row, backfill: Backfill) -> str:
    """Return a row's wish: on or off."""
    if backfill.wish is Asks.AS_IS and row.wants_active is not None:
        return "on" if row.wants_active else "off"
    return backfill.wish.value


def write_report(lines: Iterator[Mapping[str, object]], out: BinaryIO, *, as_json: bool, reveal: bool = False) -> None:
    """Write the lines of a report as CSV, or as one JSON object a line."""
    if as_json:
        out.writelines(json.dumps(line).encode() + b"\n" for line in lines)
        return
    text = io.TextIOWrapper(out, encoding="utf-8", newline="")
    writer = csv.DictWriter(text, [*COLUMNS, *([REVEALED] if reveal else [])], lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {name: neutral_text(value) if isinstance(value, str) else value for name, value in line.items()}
        for line in lines
    )
    text.flush()
    text.detach()


class Rejects:
    """Writes invalid and dead rows in the format of the file that they came from, and counts them.

    A CSV has the reason in its first column, any other format in a comment above the row. A load of this file ignores
    both, and removes the apostrophes from a CSV's cells.
    """

    def __init__(self, out: BinaryIO, form: Form) -> None:
        self.count = 0
        self._out = out
        self._form = form
        if form.kind == "csv":
            out.write(f"{REASON}{form.delimiter}".encode() + _neutral(form.header.encode(), form) + b"\n")

    def add(self, row: Row, outcome: RowOutcome, code: str = "") -> None:
        """Write a row if it is rejected."""
        if outcome in REJECTED:
            self._out.write(_reject(row, row.problem or code or outcome.value, self._form))
            self.count += 1


def with_rejects(ended: Iterator[Ended], out: BinaryIO) -> Iterator[Ended]:
    """Yield the rows of a backfill, and write the rejected ones."""
    rejects: Rejects | None = None
    for one in ended:
        rejects = rejects or Rejects(out, form_of(one.row))
        rejects.add(one.row, one.result.outcome, one.result.code)
        yield one


def _reject(row: Row, reason: str, form: Form) -> bytes:
    if form.kind == "csv":
        line = _neutral(line_of(row), form) if row.problem else _written(row, form).encode()
        return _csv([reason], form.delimiter).encode() + form.delimiter.encode() + line + b"\n"
    line = line_of(row) if row.problem else _written(row, form).encode()
    return f"# line {row.line}: {reason}\n".encode() + line + b"\n"


def _neutral(line: bytes, form: Form) -> bytes:
    """Return a line of the file, neutralised once, even if the file is one of rejected rows with apostrophes."""
    delimiter = form.delimiter.encode()
    if form.has_reasons:
        line = delimiter.join(map(restored, line.split(delimiter)))
    return neutralised_line(line, delimiter)


def _written(row: Row, form: Form) -> str:
    """Return a valid row in the format of its file."""
    if form.kind == "plain":
        return row.login_id
    if form.kind == "ndjson":
        document = {"loginId": row.login_id, "accountId": row.account_id}
        return json.dumps({name: value for name, value in document.items() if value is not None})
    names = next(csv.reader([form.header], delimiter=form.delimiter))
    places = roles_in(names)
    fields = [""] * len(names)
    fields[places[LOGIN]] = row.login_id
    if ACCOUNT in places:
        fields[places[ACCOUNT]] = row.account_id or ""
    return _csv(fields, form.delimiter)


def _csv(fields: list[str], delimiter: str) -> str:
    line = io.StringIO()
    csv.writer(line, delimiter=delimiter, lineterminator="").writerow(map(neutral_text, fields))
    return line.getvalue()


@contextmanager
def written_whole(path: Path, *, mode: int = 0o644) -> Iterator[BinaryIO]:
    """Open a temporary file for writing, and rename it to `path` once it is complete; raises UnreadableFile."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except OSError as error:
        raise UnreadableFile(f"{path} cannot be written: {error.strerror}") from None
    try:
        with os.fdopen(descriptor, "wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        partial.replace(path)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise
