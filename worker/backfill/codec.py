"""Encodes and decodes what Redis stores of a backfill: chunks of rows, its hash, and six bytes of outcome for each row.

A packed chunk holds loginIds in clear, so `store.py` seals it before it stores it.
"""

import json
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from worker.backfill.models import Asks, Backfill, Row, RowOutcome, RowResult, Status
from worker.ledger.stored_hash import LATEST_MS, Hash, StoredHash

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


def backfill_of(backfill_id: str, raw: Hash | None) -> Backfill:
    """Return the backfill of a hash, as `read_hashes` yields it; raises Unreadable."""
    stored = StoredHash(f"Backfill {backfill_id}", f"nightly:backfill:{backfill_id}", raw)
    status, rows, fed = Status(stored.choice("status", list(Status))), stored.number("rows"), stored.number("fed")
    counts = {outcome.value: stored.number(outcome, 0) for outcome in RowOutcome}
    if status is Status.CANCELLED:
        counts[RowOutcome.CANCELLED] = rows - fed
    counts[RowOutcome.WAITING] = rows - sum(counts.values())
    return Backfill(
        id=backfill_id,
        instance=stored.text("instance"),
        wish=Asks(stored.choice("wish", list(Asks))),
        status=status,
        as_of_us=stored.number("as_of_us", at_most=LATEST_MS * 1000),
        reassert=stored.text("reassert", "") == "1",
        name=stored.text("name", "-"),
        by=stored.text("by", ""),
        rows=rows,
        chunks=stored.number("chunks"),
        fed=fed,
        counts=counts,
        rate=stored.rate("rate"),
        quiet=stored.text("quiet", ""),
        timezone=stored.text("timezone", ""),
        created_at=stored.number("created_at"),
        loaded_at=stored.number_or_none("loaded_at"),
        ended_at=stored.number_or_none("ended_at"),
        digest=stored.text("digest", ""),
        first_digest=stored.text("first_digest", ""),
        digest_so_far=stored.text("digest_so_far", ""),
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
    codes = ((key.decode("utf-8", "replace"), value) for key, value in raw.items())
    return {int(value): key.removeprefix(_CODE) for key, value in codes if key.startswith(_CODE) and value.isdigit()}


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
