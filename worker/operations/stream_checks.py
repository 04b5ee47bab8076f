"""Checks of the event stream for `nightly doctor`: its backlog, its ids, and entries that vanished unread."""

from collections.abc import Mapping, Sequence
from typing import Any

from worker.ledger.stream_state import AHEAD_MS
from worker.operations.advice import CLOSED_STREAM_ADVICE, CLOSED_STREAM_REASON, VANISHED_ADVICE, vanished_reason
from worker.operations.checks import BACKLOG_FAIL_SECONDS, BACKLOG_WARN_SECONDS, Check, Level


def check_stream(length: int, oldest_seconds: float, groups: Sequence[str], group: str) -> Check:
    """Check how long entries wait; an entry leaves the stream once its events are recorded."""
    if not length:
        return Check("stream", Level.OK, "empty: every event is recorded")
    what = f"{length:,} entries wait, the oldest for {max(oldest_seconds, 0):,.0f} s"
    if group not in groups:
        return Check("stream", Level.WARN, f"{what}; no worker ever read it", "Start one: celery -A worker worker")
    if oldest_seconds <= BACKLOG_WARN_SECONDS:
        return Check("stream", Level.OK, what)
    level = Level.FAIL if oldest_seconds > BACKLOG_FAIL_SECONDS else Level.WARN
    return Check("stream", level, what, "Workers are too slow, or do not run: see their logs.")


def check_ids(status: Mapping[str, Any]) -> Check:
    """Check the last id: a producer that sets ids by hand can close the stream, or hide how long entries wait."""
    name = "stream ids"
    if status["stream_is_closed"]:
        return Check(name, Level.FAIL, CLOSED_STREAM_REASON, CLOSED_STREAM_ADVICE)
    ahead = status["stream_ids_ahead_seconds"]
    if ahead * 1000 > AHEAD_MS:
        what = f"the last id is {ahead:,.0f} s ahead of Redis' clock, which hides how long entries wait"
        return Check(name, Level.WARN, what, CLOSED_STREAM_ADVICE)
    return Check(name, Level.OK, "follow the clock")


def check_vanished(status: Mapping[str, Any]) -> Check:
    """Check for entries that left the stream without a worker: they are lost, unless they are sent again."""
    name = "stream entries"
    if status["stream_vanished"]:
        return Check(name, Level.WARN, vanished_reason(status), VANISHED_ADVICE)
    if not status["stream_counts_entries"] and status["stream_last_id"] != "0-0":
        what = "before Redis 7, entries that a producer trimmed cannot be counted"
        return Check(name, Level.UNKNOWN, what, "Use Valkey, or Redis 7 or newer.")
    return Check(name, Level.OK, "none vanished unread")
