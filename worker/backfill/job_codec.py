"""Decodes what Redis stores of a bulk job: its hash, its list of letters, and six bytes of outcome for each letter."""

import json
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


def job_of(job_id: str, raw: Mapping[bytes, bytes]) -> Job:
    """Return the job that the hash `raw` describes."""
    text = {key.decode(): value.decode("utf-8", "replace") for key, value in raw.items()}
    status, rows, fed = JobStatus(text["status"]), int(text["rows"]), int(text["fed"])
    counts = {outcome.value: int(text.get(outcome, 0)) for outcome in LETTERS.values()}
    counts[LetterOutcome.CANCELLED] = rows - fed if status is JobStatus.CANCELLED else 0
    counts[LetterOutcome.WAITING] = rows - sum(counts.values())
    return Job(
        id=job_id,
        verb=Verb(text["verb"]),
        status=status,
        by=text["by"],
        selection=text["selection"],
        total=rows,
        decided=fed,
        counts=counts,
        note=text["note"],
        owner=text["owner"],
        until_ms=int(text["until"]) if text["until"] else None,
        rate=float(text["rate"]) if text.get("rate") else None,
        chunks=int(text["chunks"]),
        groups=tuple(text["groups"].split("\n")),
        segments=tuple(_segment(text, number) for number in range(int(text["segments"]))),
        prepared_at=int(text["created_at"]),
        foreseen=json.loads(text["foreseen"]),
        counted_at=int(text["counted_at"]),
        starter=text.get("starter", ""),
        started_at=int(text["started_at"]) if "started_at" in text else None,
        ended_at=int(text["ended_at"]) if "ended_at" in text else None,
    )


def _segment(text: Mapping[str, str], number: int) -> Segment:
    first, last, instance = text[f"segment:{number}"].split("|", 2)
    return Segment(number, int(first), int(last), instance, int(text[f"at:{number}"]))


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
