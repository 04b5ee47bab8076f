"""Backfills and bulk jobs as the page shows them: a bar, the outcomes, and what a person may do. Does no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from worker.backfill.models import Asks, Backfill, RowOutcome, Status
from worker.operations.backfill_progress import ended, outcomes
from worker.web.review.charts import progress_bar

KINDS: Mapping[str, str] = {
    Status.RUNNING: "info", Status.PAUSED: "warn", Status.CANCELLED: "", Status.FINISHED: "good", Status.LOADING: "",
}  # fmt: skip
_MAY: Mapping[str, frozenset[str]] = {
    Status.LOADING: frozenset({"cancel"}),
    Status.RUNNING: frozenset({"pause", "cancel"}),
    Status.PAUSED: frozenset({"resume", "cancel"}),
}
_FAILED = (RowOutcome.DEAD, RowOutcome.INVALID)


@dataclass(frozen=True, slots=True)
class Progress:
    """One backfill or bulk job."""

    id: str
    title: str
    status: str
    kind: str
    """Of the badge of the status."""
    by: str
    rows: int
    ended: int
    left: int
    """Rows that were not handed over yet: those that a cancel keeps from being called."""
    percent: str
    bar: Markup
    pace: str
    outcomes: str
    reason: str
    started_at: int
    url: str
    """Where its forms are sent to."""
    href: str
    """Its own page, or empty."""
    may: frozenset[str]
    """pause | resume | cancel"""
    is_ended: bool

    @property
    def is_prepared(self) -> bool:
        """Whether it is a bulk job that nobody has started yet."""
        return self.status == "prepared"

    @property
    def is_live(self) -> bool:
        """Whether it may still change: what was handed over before a cancel is still called."""
        return self.status in {"running", "loading"} or (
            self.status in {"paused", "cancelled"} and self.ended < self.rows
        )


def backfill_progress(backfill: Backfill, *, reason: str = "", pace: str = "") -> Progress:
    """Return the progress of a backfill. `reason`: what it waits for."""
    wish = "each login's own wish" if backfill.wish is Asks.AS_IS else f"wish {backfill.wish.value}"
    url = f"/operations/backfills/{backfill.id}"
    name = "" if backfill.name in {"", "-"} else f", from {backfill.name}"
    title = f"Backfill on {backfill.instance}: {wish}{name}"
    return progress_of(backfill, title=title, url=url, href="", reason=reason, pace=pace)


def progress_of(backfill: Backfill, *, title: str, url: str, href: str, reason: str, pace: str) -> Progress:
    """Return the progress of a backfill or a bulk job with this title."""
    done, failed = ended(backfill), sum(backfill.counts.get(each, 0) for each in _FAILED)
    share = done / backfill.rows if backfill.rows else 1.0
    percent = f"{int(share * 100)} %"
    label = f"{percent}: {done:,} of {backfill.rows:,} ended, {failed:,} failed"
    return Progress(
        id=backfill.id,
        title=title,
        status=str(backfill.status),
        kind=KINDS.get(backfill.status, ""),
        by=backfill.by,
        rows=backfill.rows,
        ended=done,
        left=max(backfill.rows - backfill.fed, 0),
        percent=percent,
        bar=progress_bar({"done": done - failed, "failed": failed}, backfill.rows, label),
        pace=pace,
        outcomes=outcomes(backfill.counts),
        reason=reason,
        started_at=backfill.loaded_at or backfill.created_at,
        url=url,
        href=href,
        may=_MAY.get(backfill.status, frozenset()),
        is_ended=backfill.ended_at is not None or backfill.status is Status.FINISHED,
    )
