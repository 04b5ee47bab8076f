"""Packs the rows of a backfill into chunks, and unpacks them: a million rows are two thousand values in Redis.

Does no I/O. What is packed holds loginIds in clear: it is sealed before it is stored.
"""

import json
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

from worker.backfill.models import Row

ROWS_IN_CHUNK = 500
"""Every chunk but the last has so many: a row's number says its chunk. Higher: more is opened to hand over a few."""
KEEP_RAW_BYTES = 4096
"""Of the line of an invalid row: what is longer is no row that anybody would correct."""
_LEFT_OUT: list[Any] = ["", None, None, "", ""]
_LEVEL = 3  # of zlib: loginIds are random, and hardly get smaller for more effort


def pack(rows: Sequence[Row]) -> bytes:
    """Return the rows as bytes, about twenty for a loginId."""
    text = json.dumps(list(_records(rows)), separators=(",", ":"), ensure_ascii=False)
    return zlib.compress(text.encode("utf-8", "surrogatepass"), _LEVEL)


def unpack(packed: bytes) -> list[Row]:
    """Return the rows that `pack` was given."""
    line, rows = 0, []
    for record in json.loads(zlib.decompress(packed).decode("utf-8", "surrogatepass")):
        line += record[0]
        rows.append(_row(line, record))
    return rows


def _records(rows: Sequence[Row]) -> Iterator[list[Any]]:
    """Yield lists without what their row leaves out at the end, each line counted from the one before."""
    line = 0
    for row in rows:
        raw = row.raw[:KEEP_RAW_BYTES].decode("latin-1")
        record: list[Any] = [row.line - line, row.login_id, row.account_id, row.wants_active, row.problem, raw]
        while len(record) > 1 and not record[-1] and record[-1] is not False:
            record.pop()
        line = row.line
        yield record


def _row(line: int, record: list[Any]) -> Row:
    login_id, account_id, wants_active, problem, raw = record[1:] + _LEFT_OUT[len(record) - 1 :]
    return Row(line, login_id, account_id, wants_active, problem, raw.encode("latin-1"))
