"""`/bulk`: one action on many letters, on a list that is frozen first: the preflight, the progress and the results."""

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from worker.backfill.job_models import COUNT_ABOVE, Job, JobStatus, LetterResult, Verb
from worker.errors import InvalidAction, OutOfDate, UnknownLetter, Unreadable
from worker.ledger.letter_filter import LetterFilter
from worker.operations.bulk_progress import sentence_of
from worker.operations.bulk_report import csv_lines, documents
from worker.web.review.bulk_view import job_progress, preflight_bar, preflight_parts, result_row, warnings
from worker.web.review.downloads import download
from worker.web.review.flash import flash
from worker.web.review.forms import Form
from worker.web.review.letter_view import outlook
from worker.web.review.parts import Parts
from worker.web.review.progress import Progress
from worker.web.review.redirects import back
from worker.web.review.rendering import render
from worker.web.review.requests import BadField, actor_of, moment_of, number_in_address, parts_of, rate_of, text_of

SHOWN_JOBS, RESULTS, FORETOLD = 50, 50, 25
"""Jobs, results of letters, and letters of a prepared job on one page: each of the last is looked up by itself."""
_NOTHING = "No letter is selected, so nothing was prepared. Select letters, or use the actions for all that match."
_OF_A_MESSAGE = "The message is judged when the job comes to it; if it is still wrong, it stays open"


def show_all(request: Request) -> Response:
    """Show the jobs, newest first."""
    parts = parts_of(request)
    unreadable: list[Unreadable] = []
    jobs, others = parts.bulk.newest(SHOWN_JOBS, on_unreadable=unreadable.append)
    shown = [bulk_progress(parts, job) for job in jobs]
    return render(
        request,
        "bulk.html",
        now_ms=parts.views.now_ms(),
        jobs=shown,
        unreadable=unreadable,
        more_jobs=others,
        is_live=any(one.is_live for one in shown),
    )


def prepare(request: Request) -> Response:
    """Freeze the list of letters, and go to the preflight."""
    parts = parts_of(request)
    verb = text_of(request, "verb")
    job = parts.bulk.prepare(
        verb,
        _selection(request.state.form, parts.views.now_ms()),
        by=actor_of(request),
        note=text_of(request, "note"),
        # `owner` in the form is that of the filter.
        owner=text_of(request, "assign_to") if verb == Verb.ASSIGN else "",
        until_ms=moment_of(request, "until") if verb == Verb.SNOOZE else None,
    )
    return RedirectResponse(f"/bulk/{job.id}", status_code=303)


def show(request: Request) -> Response:
    """Show the preflight of a job that nobody has started, else its progress and results."""
    parts = parts_of(request)
    job = parts.bulk.get(request.path_params["id"])
    values = _results(request, parts, job) | (_preflight(parts, job) if job.status is JobStatus.PREPARED else {})
    one = bulk_progress(parts, job)
    values |= {"rows": _facts(job), "times": _times(job), "one": one, "now_ms": parts.views.now_ms()}
    return render(request, "bulk_job.html", **values)


def count(request: Request) -> Response:
    """Count again what a job would do."""
    job_id: str = request.path_params["id"]
    parts_of(request).bulk.count(job_id)
    return back(request, f"/bulk/{quote(job_id, safe='')}")


def run(request: Request) -> Response:
    """Start a job."""
    job_id: str = request.path_params["id"]
    try:
        typed, rate = text_of(request, "typed"), rate_of(request, "rate")
        parts_of(request).bulk.run(job_id, by=actor_of(request), typed=typed, rate=rate)
    except (InvalidAction, BadField) as error:  # another number was typed: the preflight is shown again
        flash(request, str(error), "wrong")
    except OutOfDate:
        job = parts_of(request).bulk.get(job_id)
        if job.starter != actor_of(request).name:
            raise
        flash(request, f"You have started {job_id} already.")  # a double click, or a form that was sent again
    else:
        flash(request, f"{job_id} runs. This page shows its progress, and you may leave it.")
    return back(request, f"/bulk/{quote(job_id, safe='')}")


def pause(request: Request) -> Response:
    """Decide no more letters for now."""
    return _steer(request, parts_of(request).bulk.pause, "is paused")


def resume(request: Request) -> Response:
    """Go on with a paused job."""
    return _steer(request, parts_of(request).bulk.resume, "is running again")


def cancel(request: Request) -> Response:
    """Decide no more letters, for good."""
    return _steer(request, parts_of(request).bulk.cancel, "is cancelled")


def report(request: Request) -> Response:
    """Send the result of every letter as CSV."""
    parts = parts_of(request)
    job = parts.bulk.get(request.path_params["id"])
    lines = csv_lines(documents(parts.bulk.report(job.id)))
    return download(f"{job.id}.csv", lines, "text/csv; charset=utf-8")


def _selection(form: Form, now_ms: int) -> Sequence[str] | LetterFilter:
    """Return the chosen letters of a form, or the filter that it has: of a group, or of a list."""
    if ids := form.getlist("ids"):
        return ids
    wanted = LetterFilter.from_query(form, now_ms=now_ms)
    if not form.get("all") and not wanted.to_query():
        raise InvalidAction(_NOTHING)
    return wanted


def _steer(request: Request, change: Callable[..., Job], what: str) -> Response:
    job = change(request.path_params["id"], by=actor_of(request))
    flash(request, f"{job.id} {what}.")
    return back(request, f"/bulk/{job.id}")


def bulk_progress(parts: Parts, job: Job) -> Progress:
    """Return the progress of a job, with what it waits for."""
    reason = "It is paused: Resume goes on with it." if job.status is JobStatus.PAUSED else ""
    if job.status is JobStatus.RUNNING:
        instances = sorted({group.partition("|")[0] for group in job.groups} - {""})
        closed = [name for name in instances if parts.views.gate(name)["state"] != "open"]
        reason = f"The gate of {', '.join(closed)} is closed: nothing is called until it opens." if closed else ""
    is_moving = job.status is JobStatus.RUNNING
    pace = parts.paces.pace(job.id, job.ended, job.total) if is_moving else ""
    return job_progress(job, reason=reason, pace=pace)


def _preflight(parts: Parts, job: Job) -> dict[str, Any]:
    preflight = parts.bulk.preflight(job.id)
    counts = preflight_parts(preflight)
    return {
        "preflight": preflight,
        "parts": counts,
        "bar_of_parts": preflight_bar(counts, preflight.total),
        "sentence": sentence_of(preflight),
        "warnings": warnings(preflight),
        "must_type": f"{preflight.must_type:,}" if preflight.must_type else "",
        "is_counted_before": job.total > COUNT_ABOVE,
    }


def _results(request: Request, parts: Parts, job: Job) -> dict[str, Any]:
    start = min(number_in_address(request, "start") or 0, job.total)
    count = FORETOLD if job.status is JobStatus.PREPARED else RESULTS
    found = parts.bulk.results(job.id, start, count)
    last, address = start + len(found), f"/bulk/{job.id}?start="
    return {
        "results": [
            result_row(start + place, result, _foretold(parts, job, result)) for place, result in enumerate(found, 1)
        ],
        "previous_href": f"{address}{max(start - count, 0)}" if start else "",
        "next_href": f"{address}{last}" if last < job.total else "",
        "shown": f"{start + 1:,} to {last:,} of {job.total:,}" if found else "",
    }


def _foretold(parts: Parts, job: Job, result: LetterResult) -> str:
    if job.status is not JobStatus.PREPARED or job.verb is not Verb.REPLAY:
        return ""
    if not result.login:
        return _OF_A_MESSAGE
    try:
        return outlook(parts.letter_actions.preview(result.letter)).title
    except UnknownLetter:
        return "It is no longer kept"
    except Unreadable:
        return "It is unreadable, so it is not decided"


def _times(job: Job) -> list[tuple[str, int | None, str]]:
    return [
        ("Prepared", job.prepared_at, job.by),
        ("Started", job.started_at, job.starter),
        ("Ended", job.ended_at, ""),
        ("Snoozed until", job.until_ms, ""),
    ]


def _facts(job: Job) -> list[tuple[str, str]]:
    return [
        ("Selected", job.selection),
        ("Note", job.note),
        ("Owner", job.owner),
        ("Limit", f"{job.rate:g} letters a second" if job.rate else ""),
    ]
