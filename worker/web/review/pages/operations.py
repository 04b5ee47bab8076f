"""`/operations`: gates, rates, queues, workers, backfills and bulk jobs, and what an operator may do about them."""

from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from worker.backfill.models import Backfill, Status
from worker.errors import NightlyError, Unreadable
from worker.operations.advice import alarms
from worker.operations.backfill_progress import ended, standstill
from worker.operations.waiting import read_state
from worker.web.review.flash import flash
from worker.web.review.operations_view import instance_view, ways, workers
from worker.web.review.pages.bulk import bulk_progress
from worker.web.review.parts import Parts
from worker.web.review.progress import Progress, backfill_progress, newest_first
from worker.web.review.redirects import back
from worker.web.review.rendering import render
from worker.web.review.requests import actor_of, needed_text_of, number_of, parts_of

SHOWN_JOBS = 20
PAGE = "/operations"


def show(request: Request) -> Response:
    """Show the state of the system."""
    parts = parts_of(request)
    state, now_ms = read_state(parts.client, parts.settings), parts.views.now_ms()
    active = alarms(state, now_ms, on_page=True)
    unreadable: list[Unreadable] = []
    bulk_jobs, other_jobs = parts.bulk.newest(SHOWN_JOBS, on_unreadable=unreadable.append)
    backfills, other_backfills = parts.backfills.newest(SHOWN_JOBS, on_unreadable=unreadable.append)
    jobs = newest_first([
        *(_backfill(parts, one, state, now_ms) for one in backfills),
        *(bulk_progress(parts, job) for job in bulk_jobs),
    ])  # fmt: skip
    return render(
        request,
        "operations.html",
        title=active[0].title if active else "Operations",
        now_ms=now_ms,
        alarms=active,
        instances=[
            instance_view(name, about, parts.day_pictures.picture(name, now_ms), place)
            for place, (name, about) in enumerate(_closed_first(state["instances"]))
        ],
        ways=ways(state),
        workers=workers(state),
        jobs=jobs[:SHOWN_JOBS],
        unreadable=unreadable,
        more_jobs=max(len(jobs) - SHOWN_JOBS, 0) + other_jobs + other_backfills,
        rejected=state["rejected"],
        unkept=state["rejected_unkept"],
    )


def _closed_first(instances: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return sorted(instances.items(), key=lambda item: (item[1]["gate"]["state"] == "open", item[0]))


def open_gate(request: Request) -> Response:
    """Open the gate of an instance."""
    return _turn(request, parts_of(request).gate.open, "open. Workers make one call first; this page shows the result.")


def close_gate(request: Request) -> Response:
    """Close the gate of an instance."""
    return _turn(request, parts_of(request).gate.close, "closed. Calls in flight end; events are recorded and wait.")


def pause_backfill(request: Request) -> Response:
    """Hand over no more rows of a backfill for now."""
    return _steer(request, parts_of(request).backfills.pause, "is paused")


def resume_backfill(request: Request) -> Response:
    """Hand over rows of a paused backfill again."""
    return _steer(request, parts_of(request).backfills.resume, "is running again")


def cancel_backfill(request: Request) -> Response:
    """Hand over no more rows of a backfill for good."""
    return _steer(request, parts_of(request).backfills.cancel, "is cancelled. What was handed over is still called")


def _turn(request: Request, change: Callable[..., None], what: str) -> Response:
    parts, name = parts_of(request), request.path_params["instance"]
    if not parts.client.sismember("nightly:instances", name) and name not in parts.settings.instances():
        raise NightlyError("There is no such instance. Nothing was done.")
    reason = needed_text_of(request, "reason", "Reason")
    change(name, by=actor_of(request), reason=reason, version=number_of(request, "version"))
    flash(request, f"The gate of {name} is {what}")
    return back(request, PAGE)


def _steer(request: Request, change: Callable[..., None], what: str) -> Response:
    backfill_id: str = request.path_params["id"]
    change(backfill_id, by=actor_of(request))
    flash(request, f"{backfill_id} {what}.")
    return back(request, PAGE)


def _backfill(parts: Parts, one: Backfill, state: dict[str, Any], now_ms: int) -> Progress:
    gate = state["instances"].get(one.instance, {}).get("gate") or parts.views.gate(one.instance)
    reason = standstill(one, state, gate, now_ms, on_page=True)
    is_moving = one.status is Status.RUNNING
    pace = parts.paces.pace(one.id, ended(one), one.rows) if is_moving else ""
    return backfill_progress(one, reason=reason, pace=pace)
