"""Formats bulk jobs for the terminal and as JSON."""

from collections.abc import Iterable
from dataclasses import asdict

from rich.console import Group, RenderableType
from rich.text import Text

from worker.backfill.job_models import Job, JobStatus, Preflight
from worker.cli.output import BAD, COMMAND, GOOD, NAME, WARN, ago, listing, number, pairs, paragraph, plain, when
from worker.operations import job_documents
from worker.operations.bulk_progress import VERBS, outcomes, sentence_of

STYLES = {
    JobStatus.PREPARED: WARN, JobStatus.RUNNING: GOOD, JobStatus.PAUSED: WARN, JobStatus.CANCELLED: BAD,
    JobStatus.FINISHED: GOOD,
}  # fmt: skip


def document(job: Job, *, reason: str = "") -> job_documents.BulkJob:
    """Return a job as JSON output, with what it waits for."""
    return job_documents.BulkJob.of(asdict(job), ended=job.ended, standstill=reason)


def picture(job: Job, reason: str, now_ms: int) -> RenderableType:
    """Return one job as text, with the next command."""
    title = Text.assemble((job.id, NAME), "  ", (job.status.value, STYLES[job.status]))
    rows: list[tuple[str, object]] = [
        ("verb", VERBS[job.verb]),
        ("letters", f"{number(job.total)}: {plain(job.selection)}"),
        ("prepared", f"{when(job.prepared_at)} UTC, {ago(job.prepared_at, now_ms)}, by {plain(job.by)}"),
    ]
    rows += [("started", f"{when(job.started_at)} UTC by {plain(job.starter)}")] if job.started_at else []
    rows += [("note", plain(job.note))] if job.note else []
    rows += [("owner", plain(job.owner))] if job.owner else []
    rows += [("limit", f"{job.rate:g} letters/s at most")] if job.rate else []
    rows += [
        ("progress", f"{number(job.decided)} decided, {number(job.ended)} ended"),
        ("outcomes", outcomes(job.counts)),
    ]
    rows += [("ended", f"{when(job.ended_at)} UTC")] if job.ended_at else []
    parts: list[RenderableType] = [title, pairs(rows)]
    parts += ["", paragraph(plain(reason), WARN)] if reason else []
    return Group(*parts, "", Text(f"  nightly bulk report {job.id} --output report.csv", COMMAND))


def foreseen(found: Preflight, now_ms: int) -> str:
    """Return what a job would do as one line."""
    return f"Counted {when(found.counted_at)} UTC, {ago(found.counted_at, now_ms)}: {sentence_of(found)}"


def table(jobs: Iterable[Job], now_ms: int) -> RenderableType:
    """Return a table with one job a line."""
    grid = listing("ID", "Status", "Verb", "Letters", "Ended", "By", "Prepared", right=("Letters", "Ended"))
    for job in jobs:
        about = Text(job.status.value, STYLES[job.status]), VERBS[job.verb], number(job.total)
        grid.add_row(job.id, *about, f"{job.ended / job.total:.0%}", plain(job.by), ago(job.prepared_at, now_ms))
    return grid


def line(job: Job, reason: str = "") -> str:
    """Return the progress of a job as one line."""
    text = f"{job.id} {job.status.value}: {number(job.decided)} of {number(job.total)} letters decided"
    return f"{text} ({outcomes(job.counts)})" + (f". {plain(reason)}" if reason else "")
