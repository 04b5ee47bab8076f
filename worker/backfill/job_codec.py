"""Decodes what Redis stores of a bulk job: its hash, its list of letters, and six bytes of outcome for each letter."""

import json
import re
from collections.abc import Mapping, Sequence

from worker.backfill.codec import codes_of, outcome_bytes
from worker.backfill.job_models import (
    Job,
    JobStatus,
    JobTerms,
    LetterOutcome,
    Segment,
    Verb,
)
from worker.ledger.stored_hash import Hash, StoredHash

SEGMENTS_AT_MOST = 10_000
_SEGMENT = re.compile(r"(\d{1,15})\|(\d{1,15})\|(.*)", re.ASCII | re.DOTALL)
Ending = tuple[LetterOutcome, str, int | None]
"""The outcome of a letter, its code, and its time in ms."""
LETTERS = {
    b"a": LetterOutcome.APPLIED,
    b"x": LetterOutcome.DEAD,
    b"k": LetterOutcome.ACCEPTED,
    b"i": LetterOutcome.INVALID,
    b"f": LetterOutcome.FAILED,
    b"r": LetterOutcome.RESOLVED,
    b"g": LetterOutcome.ASSIGNED,
    b"z": LetterOutcome.SNOOZED,
    b"s": LetterOutcome.SUPERSEDED,
    b"c": LetterOutcome.CLOSED,
    b"n": LetterOutcome.NOT_APPLICABLE,
}
"""The first of a row's six bytes, as backfill.lua writes it."""


def fields_of(terms: JobTerms, segments: Sequence[tuple[str, int]]) -> dict[str, str | int | float]:
    """Return fields of a job's hash; `segments` are the instance and the number of letters of each."""
    fields: dict[str, str | int | float] = {"verb": terms.verb, "by": terms.by, "selection": terms.selection}
    fields |= {"note": terms.note, "owner": terms.owner, "until": terms.until_ms or ""}
    fields["segments"] = len(segments)
    first = 0
    for number, (instance, count) in enumerate(segments):
        fields[f"segment:{number}"] = f"{first}|{first + count}|{instance}"
        fields[f"at:{number}"] = first
        first += count
    return fields | {"rows": first}


def job_of(job_id: str, raw: Hash | None) -> Job:
    """Return the job of a hash, as `read_hashes` yields it; raises Unreadable."""
    stored = StoredHash(f"Bulk job {job_id}", f"nightly:backfill:{job_id}", raw)
    status, rows, fed = JobStatus(stored.choice("status", list(JobStatus))), stored.number("rows"), stored.number("fed")
    counts = {outcome.value: stored.number(outcome, 0) for outcome in LETTERS.values()}
    counts[LetterOutcome.CANCELLED] = rows - fed if status is JobStatus.CANCELLED else 0
    counts[LetterOutcome.WAITING] = rows - sum(counts.values())
    return Job(
        id=job_id,
        verb=Verb(stored.choice("verb", list(Verb))),
        status=status,
        by=stored.text("by"),
        selection=stored.text("selection"),
        total=rows,
        decided=fed,
        counts=counts,
        note=stored.text("note", ""),
        owner=stored.text("owner", ""),
        until_ms=stored.number_or_none("until"),
        rate=stored.rate("rate"),
        chunks=stored.number("chunks"),
        groups=tuple(stored.text("groups").split("\n")),
        segments=tuple(
            _segment(stored, number) for number in range(stored.number("segments", at_most=SEGMENTS_AT_MOST))
        ),
        prepared_at=stored.number("created_at"),
        foreseen=_foreseen(stored),
        counted_at=stored.number("counted_at"),
        starter=stored.text("starter", ""),
        started_at=stored.number_or_none("started_at"),
        ended_at=stored.number_or_none("ended_at"),
    )


def _foreseen(stored: StoredHash) -> dict[str, int]:
    try:
        return {str(name): int(count) for name, count in json.loads(stored.text("foreseen")).items()}
    except (ValueError, TypeError, AttributeError):
        raise stored.unreadable("its field foreseen is no JSON object of counts") from None


def _segment(stored: StoredHash, number: int) -> Segment:
    found = _SEGMENT.fullmatch(stored.text(f"segment:{number}"))
    if not found:
        raise stored.unreadable(f"its field segment:{number} is not two numbers and an instance")
    return Segment(number, int(found[1]), int(found[2]), found[3], stored.number(f"at:{number}"))


def endings_of(job: Job, raw: Mapping[bytes, bytes], packed: bytes, start: int, count: int) -> list[Ending]:
    """Return the endings of `count` letters from row `start` on; `packed` holds their bytes."""
    codes = codes_of(raw)
    found: list[Ending] = []
    for row, (letter, code, seconds) in enumerate(outcome_bytes(packed, min(count, job.total - start)), start):
        outcome = LETTERS.get(letter)
        if outcome is None:
            is_left = job.status is JobStatus.CANCELLED and not _is_decided(job, row)
            found.append((LetterOutcome.CANCELLED if is_left else LetterOutcome.WAITING, "", None))
        else:
            found.append((outcome, codes.get(code, ""), seconds * 1000))
    return found


def _is_decided(job: Job, row: int) -> bool:
    return any(segment.first <= row < segment.at for segment in job.segments)
