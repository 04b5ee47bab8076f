"""Puts what is known about a login or a dead letter into items of a timeline, in plain English. Does no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from worker.ledger.audit_entries import Entry
from worker.ledger.dead_letters import Letter
from worker.words import span, utc


@dataclass(frozen=True, slots=True)
class TimelineItem:
    """One thing that happened."""

    at_ms: int
    kind: str
    """event | attempt | letter | action | confirmed"""
    title: str
    facts: Mapping[str, str] = field(default_factory=dict)
    """More about it, by name. Values may come from an event, Flinks or a person."""
    tone: str = ""
    """good | bad | warn | person | empty"""


_DONE = {
    "replay": "replayed the letter",
    "resolve": "resolved the letter",
    "nothing_left": "said that nothing is left to switch off",
    "correct_login": "corrected the loginId",
    "correct_wish": "corrected the wish",
    "resubmit": "corrected and resubmitted the message",
    "assign": "assigned the letter",
    "note": "added a note",
    "snooze": "snoozed the letter",
    "reveal": "revealed the loginId",
}
CLOSING = {
    "replayed": {"replay"},
    "resolved": {"resolve", "nothing_left"},
    "corrected": {"correct_login", "correct_wish", "resubmit"},
}
"""The actions that close a letter, by its status then."""
_HIDDEN_DETAILS = {"until"}


def item_of_line(line: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> TimelineItem:
    """Return the item of a line of a login's history (worker/ledger/history.py); `before` is the attempt before it."""
    if line["kind"] == "attempt":
        return _attempt(line, before)
    return _event(line) if line["kind"] == "event" else _action(line)


def _event(line: Mapping[str, Any]) -> TimelineItem:
    is_old = line.get("result") == "superseded"
    title = f"{'An older event' if is_old else 'Event'} came: wish {_wish(line)}"
    facts = _facts(
        ("event", line.get("event_id")),
        ("of", utc(line["occurred_us"] / 1000) if "occurred_us" in line else ""),
        ("lane", line.get("lane")),
        ("result", "it changed nothing, as a newer one is known" if is_old else ""),
    )
    return TimelineItem(int(line.get("at", 0)), "event", title, facts)


def _attempt(line: Mapping[str, Any], before: Mapping[str, Any] | None) -> TimelineItem:
    outcome, code = str(line.get("outcome", "")), str(line.get("code", ""))
    wish = _wish(line)
    title, tone = {
        "applied": (f"Applied: refreshes are {wish}", "good"),
        "dead": (f"The call failed for good: {code}", "bad"),
        "halt": (f"Flinks refused our configuration: {code}", "bad"),
        "throttled": (f"Flinks asked to wait: {code}", "warn"),
        "unreadable": ("Unreadable: somebody changed a line of this history in Redis", "warn"),
        "lease_lost": ("A worker stopped during the call, so its result is unknown", "warn"),
    }.get(outcome, (f"The call failed and is tried again: {code}", "warn"))
    facts = _facts(
        ("wish", wish),
        ("HTTP", line.get("http_status")),
        ("Flinks' code", line.get("flinks_code")),
        ("message", line.get("message")),
        ("waited", _wait(line, before) if before else ""),
        ("took", f"{line['seconds'] * 1000:,.0f} ms" if "seconds" in line else ""),
        ("worker", line.get("worker")),
        ("revision", line.get("revision")),
    )
    return TimelineItem(int(line.get("at", 0)), "attempt", title, facts, tone)


def _wait(line: Mapping[str, Any], before: Mapping[str, Any]) -> str:
    """Return the time from the end of the attempt before to this one."""
    ended = before.get("at", 0) + before.get("seconds", 0) * 1000
    return span(max(0, line.get("at", 0) - ended) / 1000)


def _action(line: Mapping[str, Any]) -> TimelineItem:
    title = action_title(str(line.get("by", "")), str(line.get("action", "")))
    facts = _facts(("letter", line.get("letter")), ("reason", line.get("text")))
    return TimelineItem(int(line.get("at", 0)), "action", title, facts, "person")


def item_of_entry(entry: Entry, *, with_address: bool) -> TimelineItem:
    """Return the item of an entry of the audit log."""
    subject, _, verb = entry.action.partition(".")
    title = action_title(entry.by, verb) if subject == "letter" else f"{entry.by}: {_words(entry.action)}"
    details = [(str(name), value) for name, value in entry.detail.items() if name not in _HIDDEN_DETAILS]
    until = entry.detail.get("until")
    facts = _facts(
        ("letter", entry.target if subject == "letter" else ""),
        ("until", utc(until) if isinstance(until, int) and until > 0 else ""),
        ("reason", entry.why),
        *details,
        ("from", f"{entry.via} {entry.address}".strip() if with_address else entry.via),
        ("audit entry", entry.n),
    )
    return TimelineItem(entry.at, "action", title, facts, "person")


def action_title(by: str, verb: str) -> str:
    """Return a sentence about an action, such as `ann replayed the letter`."""
    return f"{by} {_DONE.get(verb, _words(verb))}"


def item_of_filing(letter: Letter) -> TimelineItem:
    """Return the item of a letter that was filed, or of a message that was set aside."""
    source = f"backfill {letter.backfill}" if letter.backfill else letter.source or letter.lane
    shared = ("code", letter.code), ("event", letter.event_id), ("source", source)
    if letter.kind == "login":
        title = f"Dead letter {letter.id} was filed: {letter.code}"
        facts = _facts(*shared, ("wish", letter.wish), ("attempts", letter.failures), ("message", letter.message))
    else:
        title = f"The message was set aside: {letter.reason}"
        times = f"{letter.seen:,} times, last {utc(letter.last_at)}" if letter.seen > 1 else ""
        facts = _facts(*shared, ("seen", times), ("bytes", f"{letter.body_bytes:,}"))
    return TimelineItem(letter.created_at, "letter", title, facts, "bad")


def item_of_closing(letter: Letter) -> TimelineItem:
    """Return the item of a letter that is closed."""
    title = f"Dead letter {letter.id} was {letter.status}"
    if letter.superseded_by:
        title = f"Dead letter {letter.id} was closed: a newer event came"
    elif letter.closed_by:
        title += f" by {letter.closed_by}"
    facts = _facts(("event", letter.superseded_by), ("note", letter.note), ("corrected to", letter.corrected_to))
    return TimelineItem(letter.closed_at or 0, "letter", title, facts, "good")


def item_of_wish(event_id: str, wish: str, occurred_us: int) -> TimelineItem:
    """Return the item of an event whose arrival was not noted, at the time of the event itself."""
    return TimelineItem(occurred_us // 1000, "event", f"Event happened: wish {wish}", _facts(("event", event_id)))


def item_of_confirmation(login: Mapping[str, Any]) -> TimelineItem:
    """Return the item of a login's last confirmed call; `login` is as in `Views.login`, and has one."""
    title = f"Applied: refreshes are {login['confirmed_wish']}"
    return TimelineItem(
        login["confirmed_at"], "confirmed", title, _facts(("revision", login["confirmed_revision"])), "good"
    )


def _facts(*pairs: tuple[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in pairs if value is not None and value != ""}


def _wish(line: Mapping[str, Any]) -> str:
    return "on" if line.get("wish") else "off"


def _words(text: str) -> str:
    return text.replace("_", " ").replace(".", " ")
