"""Formats backfills for the terminal and as JSON, and finds out what a backfill waits for."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from worker.backfill.models import Asks, Backfill, RowOutcome, Status
from worker.backfill.quiet_hours import QuietHours
from worker.cli import documents
from worker.cli.output import BAD, COMMAND, GOOD, NAME, WARN, ago, listing, number, pairs, paragraph, plain, when
from worker.operations.advice import gate_advice, gate_reason

STYLES = {
    Status.LOADING: WARN, Status.RUNNING: GOOD, Status.PAUSED: WARN, Status.CANCELLED: BAD, Status.FINISHED: GOOD,
}  # fmt: skip


def document(backfill: Backfill, *, reason: str = "", rate: float | None = None) -> documents.Backfill:
    """Return a backfill as JSON output, with what it waits for and the measured rate."""
    return documents.Backfill.of(asdict(backfill), standstill=reason, rate_per_second=rate)


def ended(backfill: Backfill) -> int:
    """Return the number of rows that have ended."""
    return backfill.rows - backfill.counts[RowOutcome.WAITING]


def rejected(backfill: Backfill) -> int:
    """Return the number of dead and invalid rows, which a person should review."""
    return backfill.counts[RowOutcome.DEAD] + backfill.counts[RowOutcome.INVALID]


def outcomes(counts: Mapping[str, int]) -> str:
    """Return the number of rows for each outcome, in one line."""
    return ", ".join(f"{number(counts[each])} {each.value}" for each in RowOutcome if counts.get(each))


def wish_words(backfill: Backfill) -> str:
    """Return the wish and its time, for a person."""
    if backfill.wish is Asks.AS_IS:
        return "as-is: each login's own wish again"
    again = "; also logins that are already as wished" if backfill.reassert else ""
    return f"{backfill.wish.value} as of {when(backfill.as_of_us / 1000)} UTC{again}"


def standstill(backfill: Backfill, status: Mapping[str, Any], gate: Mapping[str, Any], now_ms: int) -> str:
    """Return why a backfill makes no progress, and what to do; empty if it does, or has ended."""
    if backfill.ended_at or backfill.status is Status.FINISHED:
        return ""
    if backfill.status is Status.LOADING:
        return "It is loading, and no row is handed over yet. If the load was killed, the same command resumes it."
    if backfill.status is Status.PAUSED:
        return f"It is paused. Continue: nightly backfill resume {backfill.id}"
    needs = needs_a_person(backfill, status, gate)
    if needs or gate["state"] != "open":
        return needs or _closed(backfill.instance, gate)
    hours = QuietHours.read(backfill.quiet, backfill.timezone)
    if backfill.status is Status.RUNNING and hours and hours.include(now_ms):
        return f"It waits for the end of its quiet hours, {backfill.quiet} {backfill.timezone or 'UTC'}."
    paused_seconds = status["instances"].get(backfill.instance, {}).get("paused_seconds", 0)
    return f"Calls are paused for {paused_seconds:.0f} s, as Flinks asked." if paused_seconds else ""


def needs_a_person(backfill: Backfill, status: Mapping[str, Any], gate: Mapping[str, Any]) -> str:
    """Return what stops a backfill and needs a person, a closed gate or no worker; else an empty text."""
    if backfill.ended_at or backfill.status in {Status.LOADING, Status.PAUSED, Status.FINISHED}:
        return ""
    if gate["needs_action"]:
        return _closed(backfill.instance, gate)
    return "" if status["workers"] else "No worker is alive. Start one: celery -A worker worker"


def _closed(name: str, gate: Mapping[str, Any]) -> str:
    return f"The gate of {name} is closed, so no call is made. {gate_reason(gate)}. {gate_advice(name, gate)}"


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
