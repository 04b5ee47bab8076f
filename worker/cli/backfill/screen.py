"""Shows a backfill: its terms, its progress, and what it waits for."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from worker.backfill.models import Asks, Backfill, RowOutcome, Status
from worker.backfill.quiet_hours import QuietHours
from worker.cli.output import BAD, COMMAND, GOOD, NAME, WARN, ago, listing, number, pairs, plain, when
from worker.operations.advice import gate_advice, gate_reason

STYLES = {
    Status.LOADING: WARN, Status.RUNNING: GOOD, Status.PAUSED: WARN, Status.CANCELLED: BAD, Status.FINISHED: GOOD,
}  # fmt: skip
_INTERNAL = frozenset({"digest", "first_digest", "digest_so_far"})


def document(backfill: Backfill) -> dict[str, Any]:
    """Return a backfill for a machine; times in ms since 1970, `as_of_us` in microseconds."""
    return {name: value for name, value in asdict(backfill).items() if name not in _INTERNAL}


def ended(backfill: Backfill) -> int:
    """Return how many rows have ended."""
    return backfill.rows - backfill.counts[RowOutcome.WAITING]


def rejected(backfill: Backfill) -> int:
    """Return how many rows a person should look at."""
    return backfill.counts[RowOutcome.DEAD] + backfill.counts[RowOutcome.INVALID]


def outcomes(backfill: Backfill) -> str:
    """Return the counts by what became of the rows, in one line."""
    return ", ".join(f"{number(backfill.counts[each])} {each.value}" for each in RowOutcome if backfill.counts[each])


def wish_words(backfill: Backfill) -> str:
    """Return what is wished, and since when that holds."""
    if backfill.wish is Asks.AS_IS:
        return "as it is: every login's own wish once more"
    again = "; also where it is so already" if backfill.reassert else ""
    return f"{backfill.wish.value} as of {when(backfill.as_of_us / 1000)} UTC{again}"


def standstill(backfill: Backfill, status: Mapping[str, Any], gate: Mapping[str, Any], now_ms: int) -> str:
    """Return why nothing moves, and what to do; empty while it moves, or when there is nothing left to do."""
    if backfill.ended_at or backfill.status is Status.FINISHED:
        return ""
    if backfill.status is Status.LOADING:
        return "It is loading. If that was killed, the same command goes on with it; nothing is handed over until then."
    if backfill.status is Status.PAUSED:
        return f"It is paused. Go on with: nightly backfill resume {backfill.id}"
    if needs := needs_a_person(backfill, status, gate):
        return needs
    hours = QuietHours.read(backfill.quiet, backfill.timezone)
    if backfill.status is Status.RUNNING and hours and hours.include(now_ms):
        return f"It rests in its quiet hours, {backfill.quiet} {backfill.timezone or 'UTC'}."
    waits = status["instances"].get(backfill.instance, {}).get("paused_seconds", 0)
    return f"Flinks asked us to wait, {waits:.0f} s more." if waits else ""


def needs_a_person(backfill: Backfill, status: Mapping[str, Any], gate: Mapping[str, Any]) -> str:
    """Return what stops a backfill that has not ended until a person acts; empty if nothing does."""
    if backfill.ended_at or backfill.status in {Status.LOADING, Status.PAUSED, Status.FINISHED}:
        return ""
    if gate["state"] != "open":
        name = backfill.instance
        return f"The gate of {name} is shut, so nothing is called. {gate_reason(gate)}. {gate_advice(name, gate)}"
    return "" if status["workers"] else "No worker is alive. Start one: celery -A worker worker"


def picture(backfill: Backfill, reason: str, now_ms: int) -> RenderableType:
    """Return one backfill as a person wants to read it."""
    title = Text.assemble((backfill.id, NAME), "  ", (backfill.status.value, STYLES[backfill.status]))
    throttle = [f"{backfill.rate:g} rows/s at most"] if backfill.rate else []
    throttle += [f"quiet {backfill.quiet} {backfill.timezone or 'UTC'}"] if backfill.quiet else []
    loaded = "" if backfill.loaded_at is None else f", loaded {when(backfill.loaded_at)} UTC"
    rows: list[tuple[str, object]] = [
        ("rows from", f"{backfill.name}" + (f", by {backfill.by}" if backfill.by else "")),
        ("wish", f"{wish_words(backfill)}, on {backfill.instance}"),
        ("begun", f"{when(backfill.created_at)} UTC, {ago(backfill.created_at, now_ms)}{loaded}"),
        ("throttle", ", ".join(throttle) or "none of its own"),
        ("rows", f"{number(ended(backfill))} of {number(backfill.rows)} ended"),
        ("outcomes", outcomes(backfill)),
    ]
    rows += [("ended", f"{when(backfill.ended_at)} UTC")] if backfill.ended_at else []
    parts: list[RenderableType] = [title, pairs(rows)]
    parts += ["", Text(plain(reason), WARN)] if reason else []
    if backfill.status is not Status.LOADING:
        parts += ["", Text(f"  nightly backfill report {backfill.id} --output report.csv", COMMAND)]
    return Group(*parts)


def table(backfills: list[Backfill]) -> RenderableType:
    """Return all backfills, one a line."""
    columns = ("ID", "Status", "Wish", "Instance", "Rows", "Ended", "Rejected", "From")
    grid = listing(*columns, right=("Rows", "Ended", "Rejected"), fold=("From",))
    for each in backfills:
        share = f"{ended(each) / each.rows:.0%}" if each.rows else "-"
        state = Text(each.status.value, STYLES[each.status])
        counts = (number(each.rows), share, number(rejected(each)))
        grid.add_row(each.id, state, each.wish.value, plain(each.instance), *counts, plain(each.name))
    return grid
