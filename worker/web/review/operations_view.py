"""What the page `/operations` shows of the state of the system, in words. Does no I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from worker.operations.advice import gate_advice, gate_reason, way_text
from worker.words import span

COUNTS = (
    "recorded", "replayed", "applied_on", "applied_off", "superseded", "duplicate", "dead_lettered", "calls", "retried",
    "throttled", "ambiguous", "unconfirmed", "fenced", "leases_lost",
)  # fmt: skip
OPENING = {
    "outage": "A test call is made at once. If Flinks does not answer it, the gate closes again.",
    "storm": "This confirms that those logins are invalid: the gate closes again only after a run four times as long.",
    "halt": "Each refused configuration may make one call; if that is refused too, the gate closes again.",
}
_OPENING_OTHERWISE = "Workers make one call first, and go on if Flinks answers it."
_WAYS = {"stream": "Stream", "queue": "Celery's queue", "set_aside": "Set aside for a person"}

Stat = tuple[str, str, str]
"""Name, value, and more about it."""


@dataclass(frozen=True, slots=True)
class InstanceView:
    """One instance: its gate, its queue and its rate."""

    name: str
    place: int
    """Number of its card on the page, for ids of fields."""
    gate: Mapping[str, Any]
    kind: str
    """Of the badge of the gate."""
    reason: str
    """Why the gate is closed. Empty if it is open, or needs a person: then it is an alarm at the top of the page."""
    advice: str
    opening: str
    """What opening the gate does."""
    stats: Sequence[Stat]
    picture: Markup
    tally: Sequence[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class WayView:
    """One way in, and the messages that wait there."""

    name: str
    events: int | None
    text: str


@dataclass(frozen=True, slots=True)
class WorkerView:
    """One live worker."""

    name: str
    slots: str
    pulse: str
    excluded: str


def instance_view(name: str, about: Mapping[str, Any], picture: Markup, place: int) -> InstanceView:
    """Return one instance, from an entry of `Views.status()["instances"]`, with the picture of its last 24 hours."""
    gate = about["gate"]
    is_open = gate["state"] == "open"
    tally = about["tally"]
    return InstanceView(
        name=name,
        place=place,
        gate={"cause": "", **gate},
        kind="good" if is_open else "bad" if gate["needs_action"] else "warn",
        reason="" if is_open or gate["needs_action"] else gate_reason(gate),
        advice="" if is_open or gate["needs_action"] else gate_advice(name, gate, on_page=True),
        opening=OPENING.get(gate.get("cause", ""), _OPENING_OTHERWISE),
        stats=list(_stats(about)),
        picture=picture,
        tally=[(each.replace("_", " "), tally.get(each, 0)) for each in COUNTS],
    )


def ways(state: Mapping[str, Any]) -> list[WayView]:
    """Return the ways in of `waiting.read_state()`."""
    names = _WAYS | ({"queue": "RabbitMQ's queue"} if "rabbitmq" in state else {})
    return [WayView(names[name], way["events"], way_text(way, span)) for name, way in state["waiting_events"].items()]


def workers(state: Mapping[str, Any]) -> list[WorkerView]:
    """Return the live workers."""
    return [
        WorkerView(
            str(about["name"]),
            str(about.get("slots", "")),
            f"{about['silent_seconds']:g} s ago",
            ", ".join(about.get("excluded", ())) or "none",
        )
        for about in state["workers"]
    ]


def _stats(about: Mapping[str, Any]) -> list[Stat]:
    due = about["due_live"] + about["due_backfill"]
    letters = sum(about["dead_letters_open"].values())
    return [
        ("Due now", f"{due:,}", f"{about['due_live']:,} live, {about['due_backfill']:,} backfill"),
        ("Oldest due", span(about["oldest_due_seconds"]) if due else "none", ""),
        ("Waiting", f"{about['waiting']:,}", "for their next attempt"),
        ("In flight", f"{about['in_flight']:,}", ""),
        ("Rate", *_rate(about)),
        ("Dead letters", f"{letters:,}", "open"),
    ]


def _rate(about: Mapping[str, Any]) -> tuple[str, str]:
    if about["paused_seconds"]:
        return "paused", f"for {span(about['paused_seconds'])}, as Flinks asked"
    if about["ceiling"] is None:
        return "none", "no call was made yet"
    if about["rate_cut_to"] is not None:
        return f"{about['rate_cut_to']:g} calls/s", f"of {about['ceiling']:g}, climbing back"
    return f"{about['ceiling']:g} calls/s", "as configured"
