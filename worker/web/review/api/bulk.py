"""Bulk jobs in the API."""

from collections.abc import Iterator
from dataclasses import asdict

from worker.backfill.job_models import Job, JobStatus
from worker.errors import InvalidAction
from worker.ledger.letter_filter import LetterFilter
from worker.ledger.stored_hash import log_it
from worker.operations import bulk_report, job_documents
from worker.web.review.api import answers
from worker.web.review.api.call import Call, milliseconds

ROWS, ROWS_AT_MOST, LARGEST = 100, 1000, 10**9


def show_all(call: Call) -> list[job_documents.BulkJob]:
    """Return every job, newest first; one that somebody damaged in Redis is left out."""
    return [_job(job) for job in call.parts.bulk.list(on_unreadable=log_it)]


def prepare(call: Call) -> answers.JobAnswer:
    """Freeze the list of letters, and return what the job would do. Nothing is done to the letters yet."""
    given = call.body
    if (given.ids is None) == (given.filter is None):
        raise InvalidAction("Give either ids or filter. Nothing was prepared.")
    now_ms = call.parts.views.now_ms()
    wanted = given.filter and {name: str(value) for name, value in given.filter.model_dump(exclude_none=True).items()}
    job = call.parts.bulk.prepare(
        given.verb,
        given.ids if wanted is None else LetterFilter.from_query(wanted, now_ms=now_ms),
        by=call.by,
        note=given.note,
        owner=given.owner,
        until_ms=milliseconds(given.until),
    )
    return _answer(call, job)


def show(call: Call) -> answers.JobAnswer:
    """Return one job, and until it is started what it would do."""
    return _answer(call, call.parts.bulk.get(call.path["id"]))


def count(call: Call) -> answers.JobAnswer:
    """Count again what a job would do. A list of up to 500 letters is counted each time that the job is read."""
    call.parts.bulk.count(call.path["id"])
    return _answer(call, call.parts.bulk.get(call.path["id"]))


def run(call: Call) -> answers.JobAnswer:
    """Start a job; above 100 letters `typed` must be their number."""
    given = call.body
    return _answer(call, call.parts.bulk.run(call.path["id"], by=call.by, typed=given.typed, rate=given.rate))


def pause(call: Call) -> answers.JobAnswer:
    """Decide no more letters for now."""
    return _answer(call, call.parts.bulk.pause(call.path["id"], by=call.by))


def resume(call: Call) -> answers.JobAnswer:
    """Continue a paused job."""
    return _answer(call, call.parts.bulk.resume(call.path["id"], by=call.by))


def cancel(call: Call) -> answers.JobAnswer:
    """Decide no more letters for good; calls for those decided before are still made."""
    return _answer(call, call.parts.bulk.cancel(call.path["id"], by=call.by))


def results(call: Call) -> answers.RowList:
    """Return letters of a job with their results, in the order of its list."""
    start = call.number("start", 0, at_most=LARGEST)
    count = max(1, call.number("count", ROWS, at_most=ROWS_AT_MOST))
    total = call.parts.bulk.get(call.path["id"]).total
    found = call.parts.bulk.results(call.path["id"], start, count)
    rows = [
        job_documents.BulkRow(
            number=number,
            letter=one.letter,
            login=one.login or None,
            instance=one.instance or None,
            code=one.letter_code or None,
            wish=one.wish or None,
            outcome=one.outcome.value,
            reason=one.code or None,
            closed_by=one.closed_by or None,
            ended_at=one.at_ms,
        )
        for number, one in enumerate(found, start + 1)
    ]
    following = start + len(rows)
    return answers.RowList(rows=rows, total=total, next=following if rows and following < total else None)


def report(call: Call) -> Iterator[bytes]:
    """Return the result of every letter, one JSON object a line."""
    call.parts.bulk.get(call.path["id"])
    return bulk_report.json_lines(bulk_report.documents(call.parts.bulk.report(call.path["id"])))


def _answer(call: Call, job: Job) -> answers.JobAnswer:
    preflight = None
    if job.status is JobStatus.PREPARED:
        preflight = job_documents.Preflight.of(asdict(call.parts.bulk.preflight(job.id)))
    return answers.JobAnswer(job=_job(job), preflight=preflight)


def _job(job: Job) -> job_documents.BulkJob:
    return job_documents.BulkJob.of(asdict(job), ended=job.ended)
