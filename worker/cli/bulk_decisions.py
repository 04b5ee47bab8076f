"""Replays or resolves several dead letters as one bulk job: asks, starts it, follows it, and prints the results."""

import sys
from collections.abc import Iterator

import typer

from worker.backfill.job_models import CONFIRM_ABOVE, Job, LetterOutcome, LetterResult, Verb
from worker.cli.bulk.commands import bulk_jobs
from worker.cli.bulk.follow import follow, is_decided, reason_of
from worker.cli.context import operator
from worker.cli.output import console, number, plain
from worker.errors import InvalidAction
from worker.ledger.letter_filter import LetterFilter
from worker.operations.bulk import BulkJobs
from worker.operations.bulk_progress import VERBS, sentence_of
from worker.operations.documents import Decision
from worker.services import Services

_CALLED = {LetterOutcome.APPLIED, LetterOutcome.DEAD, LetterOutcome.ACCEPTED}


def start(
    services: Services,
    verb: Verb,
    selection: list[str] | LetterFilter,
    *,
    note: str,
    rate: float | None,
    yes: bool,
    as_json: bool,
) -> Job | None:
    """Prepare a job, ask if there is a terminal, and start it; None if no letter matches."""
    jobs, by = bulk_jobs(services), operator()
    try:
        job = jobs.prepare(verb, selection, by=by, note=note)
    except InvalidAction as error:
        if not isinstance(selection, LetterFilter) or "No dead letter matches" not in str(error):
            raise
        if not as_json:
            console().print("0 letters: none is open")
        return None
    if not yes and job.total > 1 and is_terminal() and not _is_confirmed(jobs, job):
        jobs.cancel(job.id, by=by)
        raise typer.Abort
    return jobs.run(job.id, by=by, typed=str(job.total), rate=rate)


def is_terminal() -> bool:
    """Return whether a person can be asked."""
    return sys.stdin.isatty()


def _is_confirmed(jobs: BulkJobs, job: Job) -> bool:
    typer.echo(f"{VERBS[job.verb]} {number(job.total)} letters: {sentence_of(jobs.preflight(job.id))}", err=True)
    if job.total > CONFIRM_ABOVE:
        typed: str = typer.prompt(f"Type {job.total} to confirm", err=True)
        return typed.strip() == str(job.total)
    return typer.confirm("Go on?", err=True)


def wait_for(services: Services, job: Job, *, as_json: bool) -> tuple[Job, str]:
    """Wait until every letter is decided or the job stands still; returns the job and why it stands still."""
    try:
        job = follow(services, job.id, until=is_decided, prints=not as_json)
    except KeyboardInterrupt:
        typer.echo(f"\nThe job continues. Show it: nightly bulk show {job.id} --follow", err=True)
        raise typer.Exit(1) from None
    return job, "" if is_decided(job) else reason_of(services, job)


def results(services: Services, job: Job) -> Iterator[Decision]:
    """Yield the result of each letter of a job."""
    for row, one in enumerate(bulk_jobs(services).report(job.id)):
        segment = next(each for each in job.segments if each.first <= row < each.last)
        yield _decision(one, is_decided=row < segment.at)


def _decision(one: LetterResult, *, is_decided: bool) -> Decision:
    detail = f"by {one.closed_by}" if one.closed_by else one.code
    outcome: str = one.outcome.value
    if one.outcome in _CALLED or (one.outcome is LetterOutcome.WAITING and is_decided):
        outcome, detail = "replayed", ""
    elif one.outcome is LetterOutcome.CLOSED:
        outcome = "already_closed"
    elif one.outcome is LetterOutcome.INVALID:
        outcome = "still_invalid"
    return Decision.of({"letter_id": one.letter, "outcome": outcome, "detail": detail})


def print_where(job: Job, reason: str) -> None:
    """Print where the job can be seen, and why it stands still."""
    if reason:
        typer.echo(f"The job waits, and continues by itself. {plain(reason)}", err=True)
    typer.echo(f"Progress and report: nightly bulk show {job.id}", err=True)
