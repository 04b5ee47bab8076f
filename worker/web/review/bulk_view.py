"""What the pages of bulk jobs show: the counts of the preflight, the progress, each result. Does no I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from worker.backfill.job_models import Job, JobStatus, LetterOutcome, LetterResult, Preflight
from worker.operations.bulk_progress import CHANGES, outcomes, title_of
from worker.web.review.charts import progress_bar
from worker.web.review.progress import Progress

_FAILED = (LetterOutcome.DEAD, LetterOutcome.INVALID, LetterOutcome.FAILED)
_KINDS: Mapping[LetterOutcome, str] = {
    **dict.fromkeys(_FAILED, "bad"),
    LetterOutcome.WAITING: "info",
    LetterOutcome.CANCELLED: "warn",
    LetterOutcome.NOT_APPLICABLE: "warn",
}
_NEUTRAL = (LetterOutcome.CLOSED, LetterOutcome.SUPERSEDED)


@dataclass(frozen=True, slots=True)
class Part:
    """One count of a preflight. `css` is the class of its colour."""

    css: str
    name: str
    count: int
    about: str


@dataclass(frozen=True, slots=True)
class ResultRow:
    """The result of one letter. `kind` is that of the badge."""

    number: int
    letter: str
    about: str
    login: str
    outcome: str
    kind: str
    code: str
    at_ms: int | None
    foretold: str = ""
    """Before the start of a replay: what it would do to this letter now."""


def job_progress(job: Job, *, reason: str = "", pace: str = "") -> Progress:
    """Return the progress of a job."""
    counts = job.counts
    return Progress(
        id=job.id,
        title=title_of(job),
        status=job.status.value,
        by=job.starter or job.by,
        started_at=job.started_at or job.prepared_at,
        url=f"/bulk/{job.id}",
        href=f"/bulk/{job.id}",
        rows=job.total,
        left=job.total - job.decided,
        waiting=counts.get(LetterOutcome.WAITING, 0),
        failed=sum(counts.get(each, 0) for each in _FAILED),
        dropped=counts.get(LetterOutcome.CANCELLED, 0),
        outcomes=outcomes(counts),
        reason=reason,
        pace=pace,
        is_over=job.ended_at is not None or job.status is JobStatus.FINISHED,
    )


def preflight_parts(preflight: Preflight) -> list[Part]:
    """Return the counts of a preflight that are not zero, in the order of their importance."""
    parts = [
        Part("called", "will be called", preflight.called, "with the newest wish of each login"),
        Part("good", "already as wished", preflight.already_as_wished, "called all the same"),
        Part("called", CHANGES.get(preflight.verb, "will be changed"), preflight.changed, "without a call"),
        Part("called", "accepted again", preflight.accepted_again, "messages; those that are still wrong stay open"),
        Part("other", "superseded", preflight.superseded, "a newer event came, so the job makes no call for them"),
        Part("waits", "in flight", preflight.in_flight, "a newer event is being called right now"),
        Part("other", "closed meanwhile", preflight.closed, "left as they are"),
        Part("failed", "not possible", preflight.not_applicable, "the action is not for such letters; they stay open"),
    ]
    return [part for part in parts if part.count]


def preflight_bar(parts: Sequence[Part], total: int) -> Markup:
    """Return the counts as a picture."""
    segments: dict[str, int] = {}
    for part in parts:
        segments[part.css] = segments.get(part.css, 0) + part.count
    return progress_bar(segments, total, ", ".join(f"{part.count:,} {part.name}" for part in parts))


def warnings(preflight: Preflight) -> list[str]:
    """Return what a person should know before the start."""
    found = [
        f"The gate of {name} is closed: its letters wait until it opens. See Operations."
        for name in preflight.closed_gates
    ]
    if not preflight.calls + preflight.changed + preflight.accepted_again:
        found.append("This job would change nothing.")
    return found


def result_row(number: int, result: LetterResult, foretold: str = "") -> ResultRow:
    """Return one row of the list, or of the table of results; `number` counts from 1."""
    kind = _KINDS.get(result.outcome, "" if result.outcome in _NEUTRAL else "good")
    words = _words(result.outcome) + (f" by {result.closed_by}" if result.closed_by else "")
    about = " ".join(text for text in (result.letter_code, result.wish and f"wish {result.wish}") if text)
    return ResultRow(number, result.letter, about, result.login, words, kind, result.code, result.at_ms, foretold)


def _words(outcome: LetterOutcome) -> str:
    return outcome.value.replace("_", " ")
