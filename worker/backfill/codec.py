"""Encodes and decodes what Redis stores of a backfill: chunks of rows, its hash, and six bytes of outcome for each row.

A packed chunk holds loginIds in clear, so `store.py` seals it before it stores it.
"""

import json
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from worker.backfill.models import Asks, Backfill, Row, RowOutcome, RowResult, Status

ROWS_IN_CHUNK = 500
"""Size of every chunk except the last, so a row's number gives its chunk. A larger chunk costs more to decrypt when
only a few of its rows are handed over."""
KEEP_RAW_BYTES = 4096
"""Maximum bytes kept of an invalid row's line, for the rejects file; a longer line is not corrected by hand."""
_DEFAULTS: list[Any] = ["", None, None, "", ""]  # of the fields after the line
_LEVEL = 3  # zlib level: loginIds are random, so a higher level hardly shrinks them
_LETTERS = {
    b"a": RowOutcome.APPLIED,
    b"y": RowOutcome.ALREADY,
    b"s": RowOutcome.SUPERSEDED,
    b"d": RowOutcome.DUPLICATE,
    b"i": RowOutcome.INVALID,
    b"x": RowOutcome.DEAD,
}
"""The first of a row's six bytes, as backfill.lua writes it."""
_ROW = struct.Struct(">cBI")
_CODE = "code:"


def pack(rows: Sequence[Row]) -> bytes:
    """Return the rows as compressed bytes, about 20 bytes a row."""
    text = json.dumps(list(_records(rows)), separators=(",", ":"), ensure_ascii=False)
    return zlib.compress(text.encode("utf-8", "surrogatepass"), _LEVEL)


def unpack(packed: bytes) -> list[Row]:
    """Return the rows that `pack` encoded."""
    line, rows = 0, []
    for record in json.loads(zlib.decompress(packed).decode("utf-8", "surrogatepass")):
        line += record[0]
        rows.append(_row(line, record))
    return rows


def _records(rows: Sequence[Row]) -> Iterator[list[Any]]:
    """Yield one list a row: trailing empty fields are left out, and a line is the distance from the line before."""
    line = 0
    for row in rows:
        raw = row.raw[:KEEP_RAW_BYTES].decode("latin-1")
        record: list[Any] = [row.line - line, row.login_id, row.account_id, row.wants_active, row.problem, raw]
        while len(record) > 1 and not record[-1] and record[-1] is not False:
            record.pop()
        line = row.line
        yield record


def _row(line: int, record: list[Any]) -> Row:
    login_id, account_id, wants_active, problem, raw = record[1:] + _DEFAULTS[len(record) - 1 :]
    return Row(line, login_id, account_id, wants_active, problem, raw.encode("latin-1"))


def backfill_of(backfill_id: str, raw: Mapping[bytes, bytes]) -> Backfill:
    """Return the backfill that the hash `raw` describes."""
    text = {key.decode(): value.decode("utf-8", "replace") for key, value in raw.items()}
    status, rows, fed = Status(text["status"]), int(text["rows"]), int(text["fed"])
    counts = {outcome.value: int(text.get(outcome, 0)) for outcome in RowOutcome}
    if status is Status.CANCELLED:
        counts[RowOutcome.CANCELLED] = rows - fed
    counts[RowOutcome.WAITING] = rows - sum(counts.values())
    return Backfill(
        id=backfill_id,
        instance=text["instance"],
        wish=Asks(text["wish"]),
        status=status,
        as_of_us=int(text["as_of_us"]),
        reassert=text.get("reassert") == "1",
        name=text.get("name", "-"),
        by=text.get("by", ""),
        rows=rows,
        chunks=int(text["chunks"]),
        fed=fed,
        counts=counts,
        rate=float(text["rate"]) if text.get("rate") else None,
        quiet=text.get("quiet", ""),
        timezone=text.get("timezone", ""),
        created_at=int(text["created_at"]),
        loaded_at=int(text["loaded_at"]) if "loaded_at" in text else None,
        ended_at=int(text["ended_at"]) if "ended_at" in text else None,
        digest=text.get("digest", ""),
        first_digest=text.get("first_digest", ""),
        digest_so_far=text.get("digest_so_far", ""),
    )


def results_of(raw: Mapping[bytes, bytes], packed: bytes, start: int, count: int) -> list[RowResult]:
    """Return the results of `count` rows from row `start` on.

    `packed` holds their six bytes each. It may be short: Redis stores no bytes behind the last row that ended.
    """
    rows, fed = int(raw[b"rows"]), int(raw[b"fed"])
    is_cancelled, codes = raw[b"status"] == b"cancelled", codes_of(raw)
    return [
        _result(fields, codes, not_handed_over=is_cancelled and number >= fed)
        for number, fields in enumerate(outcome_bytes(packed, min(count, rows - start)), start)
    ]


def codes_of(raw: Mapping[bytes, bytes]) -> dict[int, str]:
    """Return the codes of a backfill's rows, by their number."""
    return {int(value): key.decode().removeprefix(_CODE) for key, value in raw.items() if key.startswith(b"code:")}


def outcome_bytes(packed: bytes, count: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield letter, number of the code and second for `count` rows; `packed` may be short."""
    size = max(0, count) * _ROW.size
    return _ROW.iter_unpack(packed[:size].ljust(size, b"\0"))


def _result(fields: tuple[bytes, int, int], codes: Mapping[int, str], *, not_handed_over: bool) -> RowResult:
    letter, code, seconds = fields
    outcome = _LETTERS.get(letter)
    if outcome is not None:
        return RowResult(outcome, codes.get(code, ""), seconds * 1000)
    return RowResult(RowOutcome.CANCELLED if not_handed_over else RowOutcome.WAITING)
