"""Formats backfills for the terminal and as JSON."""

from dataclasses import asdict
from pathlib import Path

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from worker.backfill.models import Asks, Backfill, Status
from worker.cli.output import BAD, COMMAND, GOOD, NAME, WARN, ago, listing, number, pairs, paragraph, plain, when
from worker.operations import job_documents
from worker.operations.backfill_progress import ended, outcomes, rejected

STYLES = {
    Status.LOADING: WARN, Status.RUNNING: GOOD, Status.PAUSED: WARN, Status.CANCELLED: BAD, Status.FINISHED: GOOD,
}  # fmt: skip


def document(backfill: Backfill, *, reason: str = "", rate: float | None = None) -> job_documents.Backfill:
    """Return a backfill as JSON output, with what it waits for and the measured rate."""
    return job_documents.Backfill.of(asdict(backfill), standstill=reason, rate_per_second=rate)


def wish_words(backfill: Backfill) -> str:
    """Return the wish and its time, for a person."""
    if backfill.wish is Asks.AS_IS:
        return "as-is: each login's own wish again"
    again = "; also logins that are already as wished" if backfill.reassert else ""
    return f"{backfill.wish.value} as of {when(backfill.as_of_us / 1000)} UTC{again}"


def picture(backfill: Backfill, reason: str, now_ms: int) -> RenderableType:
    """Return one backfill as text, with the next command."""
    title = Text.assemble((backfill.id, NAME), "  ", (backfill.status.value, STYLES[backfill.status]))
    limits = [f"{backfill.rate:g} rows/s at most"] if backfill.rate else []
    limits += [f"quiet hours {backfill.quiet} {backfill.timezone or 'UTC'}"] if backfill.quiet else []
    loaded = "" if backfill.loaded_at is None else f", loaded {when(backfill.loaded_at)} UTC"
    rows: list[tuple[str, object]] = [
        ("rows from", f"{backfill.name}" + (f", by {backfill.by}" if backfill.by else "")),
        ("wish", f"{wish_words(backfill)}, on {backfill.instance}"),
        ("started", f"{when(backfill.created_at)} UTC, {ago(backfill.created_at, now_ms)}{loaded}"),
        ("limits", ", ".join(limits) or "none of its own"),
        ("rows", f"{number(ended(backfill))} of {number(backfill.rows)} ended"),
        ("outcomes", outcomes(backfill.counts)),
    ]
    rows += [("ended", f"{when(backfill.ended_at)} UTC")] if backfill.ended_at else []
    parts: list[RenderableType] = [title, pairs(rows)]
    parts += ["", paragraph(plain(reason), WARN)] if reason else []
    if backfill.status is not Status.LOADING:
        parts += ["", Text(f"  nightly backfill report {backfill.id} --output report.csv", COMMAND)]
    return Group(*parts)


def table(backfills: list[Backfill]) -> RenderableType:
    """Return a table with one backfill a line."""
    columns = ("ID", "Status", "Wish", "Instance", "Rows", "Ended", "Rejected", "From")
    grid = listing(*columns, right=("Rows", "Ended", "Rejected"), fold=("From",))
    for one in backfills:
        share = f"{ended(one) / one.rows:.0%}" if one.rows else "-"
        state = Text(one.status.value, STYLES[one.status])
        counts = (number(one.rows), share, number(rejected(one)))
        grid.add_row(one.id, state, one.wish.value, plain(one.instance), *counts, plain(one.name))
    return grid


def print_rejects(count: int, path: Path) -> None:
    """Print to stderr where the rejected rows are, and what to do with them."""
    typer.echo(
        f"{number(count)} rejected rows are in {plain(path.name)}. It has loginIds, and only you can read it: correct "
        f"it, load it with `nightly backfill start`, and delete it.",
        err=True,
    )
