"""Checks of queues and stream for `nightly doctor`: waiting messages, consumers, ids, entries that vanished unread."""

from collections.abc import Mapping
from typing import Any

from worker.ledger.stream_state import AHEAD_MS
from worker.operations.advice import (
    CLOSED_STREAM_ADVICE,
    CLOSED_STREAM_REASON,
    VANISHED_ADVICE,
    vanished_reason,
    way_text,
)
from worker.operations.checks import BACKLOG_FAIL_SECONDS, BACKLOG_WARN_SECONDS, Check, Level


def check_way(name: str, way: Mapping[str, Any], *, workers_alive: int) -> Check:
    """Check how long messages wait; a message leaves its way in, `stream` or `queue`, once its events are recorded.

    On the queue, the age of an event is that of its `occurred_at`, so a long one alone is no failure.
    """
    what, oldest = way_text(way), way["oldest_seconds"] or 0
    if way["events"] is None:
        return Check(name, Level.FAIL, what, "Check BROKER_URL and the broker.")
    if not way["events"]:
        return Check(name, Level.OK, "empty: every event is recorded")
    if not workers_alive:
        return Check(name, Level.FAIL, f"{what}; no worker is alive", "Start one: celery -A worker worker")
    if oldest <= BACKLOG_WARN_SECONDS:
        return Check(name, Level.OK, what)
    level = Level.FAIL if oldest > BACKLOG_FAIL_SECONDS and name == "stream" else Level.WARN
    return Check(name, level, what, "Workers are too slow, or do not read it: see their logs, and their option -Q.")


def check_queue(name: str, *, waiting: int | None, consumers: int) -> Check:
    """Check that workers consume a queue of RabbitMQ. `waiting` None: the queue does not exist."""
    title = f"queue {name}"
    if waiting is None:
        advice = "A starting worker creates it. Messages sent before are lost, unless their sender creates the queue."
        return Check(title, Level.WARN, "does not exist yet", advice)
    what = f"{waiting:,} messages wait, {consumers} workers consume it"
    if consumers:
        return Check(title, Level.OK, what)
    return Check(title, Level.FAIL if waiting else Level.WARN, what, "Start one: celery -A worker worker")


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
