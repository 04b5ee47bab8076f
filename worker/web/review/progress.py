"""Backfills and bulk jobs as the page shows them: a bar, the outcomes, and what a person may do. Does no I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from worker.backfill.models import Asks, Backfill, RowOutcome
from worker.operations.backfill_progress import outcomes
from worker.web.review.charts import progress_bar

KINDS: Mapping[str, str] = {"running": "info", "paused": "warn", "prepared": "warn", "finished": "good"}
"""The badge of each status."""
_MAY: Mapping[str, frozenset[str]] = {
    "prepared": frozenset({"cancel"}),
    "loading": frozenset({"cancel"}),
    "running": frozenset({"pause", "cancel"}),
    "paused": frozenset({"resume", "cancel"}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One backfill or bulk job."""

    id: str
    title: str
    status: str
    by: str
    started_at: int
    url: str
    """Where its forms are sent to."""
    href: str = ""
    """Its own page."""
    rows: int
    left: int
    """Rows that were not handed over yet: those that a cancel keeps from being called."""
    waiting: int
    failed: int
    dropped: int = 0
    """Rows that a cancel kept from being called."""
    outcomes: str
    reason: str = ""
    """What it waits for."""
    pace: str = ""
    is_over: bool
    """Whether every row that was handed over has ended, and no more will be."""

    @property
    def ended(self) -> int:
        """Rows with a final outcome."""
        return self.rows - self.waiting

    @property
    def percent(self) -> str:
        """The share of the rows that have ended, rounded down."""
        return f"{int(100 * self.ended / self.rows) if self.rows else 100} %"

    @property
    def bar(self) -> Markup:
        """The share as a picture."""
        label = f"{self.percent}: {self.ended:,} of {self.rows:,} ended, {self.failed:,} failed"
        done = self.ended - self.failed - self.dropped
        return progress_bar({"done": done, "failed": self.failed, "other": self.dropped}, self.rows, label)

    @property
    def kind(self) -> str:
        """Of the badge of the status."""
        return KINDS.get(self.status, "")

    @property
    def may(self) -> frozenset[str]:
        """What a person may do: pause, resume, cancel."""
        return _MAY.get(self.status, frozenset())

    @property
    def is_prepared(self) -> bool:
        """Whether it is a bulk job that nobody has started yet."""
        return self.status == "prepared"

    @property
    def is_live(self) -> bool:
        """Whether it may still change: what was handed over before a cancel is still called."""
        return not self.is_over and not self.is_prepared


def backfill_progress(backfill: Backfill, *, reason: str = "", pace: str = "") -> Progress:
    """Return the progress of a backfill."""
    wish = "each login's own wish" if backfill.wish is Asks.AS_IS else f"wish {backfill.wish.value}"
    name = "" if backfill.name in {"", "-"} else f", from {backfill.name}"
    counts = backfill.counts
    return Progress(
        id=backfill.id,
        title=f"Backfill on {backfill.instance}: {wish}{name}",
        status=backfill.status.value,
        by=backfill.by,
        started_at=backfill.loaded_at or backfill.created_at,
        url=f"/operations/backfills/{backfill.id}",
        rows=backfill.rows,
        left=backfill.rows - backfill.fed,
        waiting=counts.get(RowOutcome.WAITING, 0),
        failed=counts.get(RowOutcome.DEAD, 0) + counts.get(RowOutcome.INVALID, 0),
        dropped=counts.get(RowOutcome.CANCELLED, 0),
        outcomes=outcomes(counts),
        reason=reason,
        pace=pace,
        is_over=backfill.ended_at is not None or backfill.status == "finished",
    )


def newest_first(shown: Sequence[Progress]) -> list[Progress]:
    """Return those that still change, then the others; each from the newest to the oldest."""
    return sorted(shown, key=lambda one: (not one.is_live, -one.started_at))
