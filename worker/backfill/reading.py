"""Reads a backfill as Redis holds it: its hash, and the six bytes of each row. Does no I/O."""

import struct
from collections.abc import Mapping

from worker.backfill.models import Asks, Backfill, RowOutcome, RowResult, Status

_LETTERS = {
    b"a": RowOutcome.APPLIED,
    b"y": RowOutcome.ALREADY,
    b"s": RowOutcome.SUPERSEDED,
    b"d": RowOutcome.DUPLICATE,
    b"i": RowOutcome.INVALID,
    b"x": RowOutcome.DEAD,
}
"""As backfill_rows.lua writes them."""
_ROW = struct.Struct(">cBI")
_CODE = "code:"


def backfill_of(backfill_id: str, raw: Mapping[bytes, bytes]) -> Backfill:
    """Return the backfill whose hash this is."""
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
    """Return what became of `count` rows from `start` on; `packed` holds their bytes, as far as any are written."""
    rows, fed = int(raw[b"rows"]), int(raw[b"fed"])
    count = max(0, min(count, rows - start))
    is_cancelled = raw[b"status"] == b"cancelled"
    codes = {int(value): key.decode().removeprefix(_CODE) for key, value in raw.items() if key.startswith(b"code:")}
    padded = packed[: count * _ROW.size].ljust(count * _ROW.size, b"\0")
    return [
        _result(fields, codes, not_handed_over=is_cancelled and number >= fed)
        for number, fields in enumerate(_ROW.iter_unpack(padded), start)
    ]


def _result(fields: tuple[bytes, int, int], codes: Mapping[int, str], *, not_handed_over: bool) -> RowResult:
    letter, code, seconds = fields
    outcome = _LETTERS.get(letter)
    if outcome is not None:
        return RowResult(outcome, codes.get(code, ""), seconds * 1000)
    return RowResult(RowOutcome.CANCELLED if not_handed_over else RowOutcome.WAITING)
