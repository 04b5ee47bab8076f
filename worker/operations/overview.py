"""Reads what the top of the home page shows: the state of the system in a few numbers, its alarms and closed gates."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from worker.config.settings import Settings
from worker.ledger.minutes import Minute, Minutes
from worker.operations.advice import Alarm, alarms, gate_advice, gate_reason
from worker.operations.waiting import read_state
from worker.redis_client.connect import BytesRedis


@dataclass(frozen=True, slots=True)
class ClosedGate:
    """A gate that lets no call through, or only one trial call (`half_open`)."""

    instance: str
    state: str
    reason: str
    advice: str
    """What opens it again."""
    needs_action: bool
    """Whether it needs a person; then it is among the alarms, too."""


@dataclass(frozen=True, slots=True)
class Overview:
    """The state of the system. Counts of a day are those of the minutes that are known."""

    now_ms: int
    state: Mapping[str, Any]
    """As `waiting.read_state` returns it."""
    alarms: list[Alarm]
    gates: list[ClosedGate]
    minutes: list[Minute | None]
    """The last 24 hours by minute, oldest first; None is a gap."""
    events_in: int
    """Events recorded in the last 24 hours."""
    applied: int
    """Wishes applied in the last 24 hours."""
    failures: int
    """Calls of the last 24 hours that were retried, throttled or given up."""
    waiting: int
    """Logins whose wish is not applied yet."""
    unrecorded: int | None
    """Messages on the stream and in Celery's queue; None: one of them cannot be read."""
    calls_per_second: float | None
    """Of the last whole minute; None: it is a gap."""
    ceiling: float
    """Calls a second that the settings allow, of all instances that were called."""
    in_flight: int
    oldest_due_seconds: float


def read_overview(client: BytesRedis, settings: Settings) -> Overview:
    """Read everything; raises redis.RedisError."""
    state = read_state(client, settings)
    minutes = Minutes(client)
    now_ms = minutes.now_ms()
    return overview(state, minutes.series(), now_ms)


def overview(state: Mapping[str, Any], minutes: list[Minute | None], now_ms: int) -> Overview:
    """Return the overview of a state and of the last minutes."""
    known = [minute for minute in minutes if minute is not None]
    last = minutes[-1] if minutes else None
    instances = state["instances"].values()
    return Overview(
        now_ms=now_ms,
        state=state,
        alarms=alarms(state, now_ms, on_page=True),
        gates=[_closed(name, about["gate"]) for name, about in state["instances"].items() if _is_closed(about)],
        minutes=minutes,
        events_in=sum(minute.recorded for minute in known),
        applied=sum(minute.applied for minute in known),
        failures=sum(minute.failures for minute in known),
        waiting=sum(_waiting(about) for about in instances),
        unrecorded=_unrecorded(state["waiting_events"]),
        calls_per_second=None if last is None else round(last.calls / 60, 1),
        ceiling=sum(about["ceiling"] or 0 for about in instances),
        in_flight=sum(about["in_flight"] for about in instances),
        oldest_due_seconds=max((about["oldest_due_seconds"] for about in instances), default=0.0),
    )


def _is_closed(about: Mapping[str, Any]) -> bool:
    return bool(about["gate"]["state"] != "open")


def _closed(instance: str, gate: Mapping[str, Any]) -> ClosedGate:
    return ClosedGate(
        instance=instance,
        state=gate["state"],
        reason=gate_reason(gate),
        advice=gate_advice(instance, gate, on_page=True),
        needs_action=bool(gate["needs_action"]),
    )


def _waiting(about: Mapping[str, Any]) -> int:
    return int(about["due_live"] + about["due_backfill"] + about["waiting"] + about["in_flight"])


def _unrecorded(ways: Mapping[str, Mapping[str, Any]]) -> int | None:
    counts = [ways[name]["events"] for name in ("stream", "queue")]
    return None if None in counts else sum(counts)
