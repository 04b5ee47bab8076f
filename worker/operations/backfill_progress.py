"""The progress of a backfill in words: the rows that have ended, their outcomes, and what it waits for. Does no I/O."""

from collections.abc import Mapping
from typing import Any

from worker.backfill.models import Backfill, RowOutcome, Status
from worker.backfill.quiet_hours import QuietHours
from worker.operations.advice import gate_advice, gate_reason


def ended(backfill: Backfill) -> int:
    """Return the number of rows that have ended."""
    return backfill.rows - backfill.counts[RowOutcome.WAITING]


def rejected(backfill: Backfill) -> int:
    """Return the number of dead and invalid rows, which a person should review."""
    return backfill.counts[RowOutcome.DEAD] + backfill.counts[RowOutcome.INVALID]


_RESUME = "nightly backfill resume"


def outcomes(counts: Mapping[str, int]) -> str:
    """Return the number of rows for each outcome, in one line."""
    return ", ".join(f"{counts[each]:,} {each.value}" for each in RowOutcome if counts.get(each))


def standstill(
    backfill: Backfill, status: Mapping[str, Any], gate: Mapping[str, Any], now_ms: int, *, on_page: bool = False
) -> str:
    """Return why a backfill makes no progress, and what to do; empty if it does, or has ended."""
    if backfill.ended_at or backfill.status is Status.FINISHED:
        return ""
    if backfill.status is Status.LOADING:
        return "It is loading, and no row is handed over yet. If the load was killed, the same command resumes it."
    if backfill.status is Status.PAUSED:
        return "It is paused: Resume continues it." if on_page else f"It is paused. Continue: {_RESUME} {backfill.id}"
    needs = needs_a_person(backfill, status, gate, on_page=on_page)
    if needs or gate["state"] != "open":
        return needs or _closed(backfill.instance, gate, on_page=on_page)
    hours = QuietHours.read(backfill.quiet, backfill.timezone)
    if backfill.status is Status.RUNNING and hours and hours.include(now_ms):
        return f"It waits for the end of its quiet hours, {backfill.quiet} {backfill.timezone or 'UTC'}."
    paused_seconds = status["instances"].get(backfill.instance, {}).get("paused_seconds", 0)
    return f"Calls are paused for {paused_seconds:.0f} s, as Flinks asked." if paused_seconds else ""


def needs_a_person(
    backfill: Backfill, status: Mapping[str, Any], gate: Mapping[str, Any], *, on_page: bool = False
) -> str:
    """Return what stops a backfill and needs a person, a closed gate or no worker; else an empty text."""
    if backfill.ended_at or backfill.status in {Status.LOADING, Status.PAUSED, Status.FINISHED}:
        return ""
    if gate["needs_action"]:
        return _closed(backfill.instance, gate, on_page=on_page)
    return "" if status["workers"] else "No worker is alive. Start one: celery -A worker worker"


def _closed(name: str, gate: Mapping[str, Any], *, on_page: bool) -> str:
    advice = gate_advice(name, gate, on_page=on_page)
    return f"The gate of {name} is closed, so no call is made. {gate_reason(gate)}. {advice}"
