"""`nightly bulk list | show | count | run | pause | resume | cancel | report`."""

import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from worker.backfill.job_models import Job, JobStatus, LetterOutcome
from worker.backfill.report import written_whole
from worker.cli.bulk.follow import follow, has_ended, reason_of
from worker.cli.bulk.screen import document, foreseen, line, picture, table
from worker.cli.context import open_services, operator
from worker.cli.exit_codes import rest_is_printed
from worker.cli.known import complete_job, known_job
from worker.cli.output import console, number, plain, print_json
from worker.operations import job_documents
from worker.operations.bulk import FASTEST_RATE, SLOWEST_RATE, BulkJobs
from worker.operations.bulk_progress import outcomes
from worker.operations.bulk_report import csv_lines, documents, json_lines
from worker.services import Services

app = typer.Typer(
    help="Follow actions on many dead letters; the review page and `nightly dead-letters` prepare them.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
Id = Annotated[str, typer.Argument(metavar="ID", help="The id that `list` shows: job-...", autocompletion=complete_job)]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
Rate = Annotated[float | None, typer.Option(help="Maximum letters a second.", min=SLOWEST_RATE, max=FASTEST_RATE)]
WRONG = (LetterOutcome.DEAD, LetterOutcome.INVALID, LetterOutcome.FAILED)


def bulk_jobs(services: Services) -> BulkJobs:
    """Return the bulk jobs of these services."""
    return BulkJobs(services.redis, calls_per_second=services.settings.flinks_calls_per_second)


@app.command("list", epilog="Example: `nightly bulk list --json`")
def list_(*, as_json: AsJson = False) -> None:
    """List bulk jobs, newest first; they are kept for 30 days after their end, or for a day without a start."""
    services = open_services()
    with rest_is_printed() as on_unreadable:
        jobs = bulk_jobs(services).list(on_unreadable=on_unreadable)
        if as_json:
            print_json(document(job) for job in jobs)
        else:
            now_ms = services.views.now_ms()
            console().print(table(jobs, now_ms) if jobs else "There is no bulk job; see `nightly dead-letters replay`.")


@app.command(epilog="Example: `nightly bulk show job-k5mxq2abcd --follow`")
def show(
    job_id: Id,
    *,
    follows: Annotated[bool, typer.Option("--follow", help="Show progress until its calls end or Ctrl-C.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show one job: what was selected, its progress, and what it waits for; before its start, what it would do.

    Exit code 1 if it stands still, or with --follow if a letter failed. Ctrl-C stops only the display.
    """
    services = open_services()
    known_job(services.redis, job_id)
    job = _followed(services, job_id, as_json=as_json) if follows else services.jobs.get(job_id)
    reason = reason_of(services, job)
    if as_json:
        print_json([document(job, reason=reason)])
    else:
        console().print(picture(job, reason, services.views.now_ms()))
        if job.status is JobStatus.PREPARED:
            found = bulk_jobs(services).preflight(job_id)
            console().print(foreseen(found, services.views.now_ms()), soft_wrap=True)
    if reason or (follows and any(job.counts[each] for each in WRONG)):
        raise typer.Exit(1)


@app.command(epilog="Example: `nightly bulk count job-k5mxq2abcd`")
def count(job_id: Id, *, as_json: AsJson = False) -> None:
    """Count again what a prepared job would do; only lists of more than 500 letters need this."""
    services = open_services(to_change=True)
    known_job(services.redis, job_id)
    found = bulk_jobs(services).count(job_id)
    if as_json:
        print_json([job_documents.Preflight.of(asdict(found))])
    else:
        console().print(foreseen(found, services.views.now_ms()), soft_wrap=True)


@app.command(epilog="Example: `nightly bulk run job-k5mxq2abcd --type 1204`")
def run(
    job_id: Id,
    *,
    typed: Annotated[str, typer.Option("--type", help="The number of its letters, if there are more than 100.")] = "",
    rate: Rate = None,
    as_json: AsJson = False,
) -> None:
    """Start a job that was prepared. Refused, if another job on one of its groups was started since."""
    act = lambda jobs, name: jobs.run(name, by=operator(), typed=typed, rate=rate)  # noqa: E731 - one expression
    _change(job_id, act, "is started. See: nightly bulk show", as_json=as_json)


@app.command(epilog="Example: `nightly bulk pause job-k5mxq2abcd`")
def pause(job_id: Id, *, as_json: AsJson = False) -> None:
    """Decide no more letters for now. Logins already in the lane, about two seconds of calls, are still called."""
    _change(job_id, _steered("pause"), "is paused. Continue: nightly bulk resume", as_json=as_json)


@app.command(epilog="Example: `nightly bulk resume job-k5mxq2abcd`")
def resume(job_id: Id, *, as_json: AsJson = False) -> None:
    """Continue a paused job."""
    _change(job_id, _steered("resume"), "continues. See: nightly bulk show", as_json=as_json)


@app.command(epilog="Example: `nightly bulk cancel job-k5mxq2abcd`")
def cancel(job_id: Id, *, as_json: AsJson = False) -> None:
    """Decide no more letters, for good. Letters decided before stay so; the report shows which were not."""
    _change(job_id, _steered("cancel"), "is cancelled. See: nightly bulk report", as_json=as_json)


@app.command(epilog="Example: `nightly bulk report job-k5mxq2abcd --output report.csv`")
def report(
    job_id: Id,
    *,
    output: Annotated[Path | None, typer.Option(help="File for the report, written only if complete. [stdout]")] = None,
    as_json: AsJson = False,
) -> None:
    """Write a line for each letter, and a summary to stderr. Works at any time, also before the job ends."""
    services = open_services()
    known_job(services.redis, job_id)
    lines = documents(bulk_jobs(services).report(job_id))
    with ExitStack() as files:
        stream = files.enter_context(written_whole(output)) if output else sys.stdout.buffer
        stream.writelines(json_lines(lines) if as_json else csv_lines(lines))
    sys.stdout.flush()
    job = services.jobs.get(job_id)
    typer.echo(f"{job.id} {job.status.value}, {number(job.total)} letters: {outcomes(job.counts)}.", err=True)


def _steered(action: str) -> Callable[[BulkJobs, str], Job]:
    return lambda jobs, job_id: getattr(jobs, action)(job_id, by=operator())


def _followed(services: Services, job_id: str, *, as_json: bool) -> Job:
    try:
        return follow(services, job_id, until=has_ended, prints=not as_json)
    except KeyboardInterrupt:
        typer.echo(f"\nThe job continues. Show it again: nightly bulk show {job_id} --follow", err=True)
        raise typer.Exit from None


def _change(job_id: str, act: Callable[[BulkJobs, str], Job], result: str, *, as_json: bool) -> None:
    services = open_services(to_change=True)
    known_job(services.redis, job_id)
    job = act(bulk_jobs(services), job_id)
    if as_json:
        print_json([document(job)])
        return
    console().print(f"Bulk job {plain(job_id)} {result} {plain(job_id)}", soft_wrap=True)
    console().print(line(job), soft_wrap=True)
