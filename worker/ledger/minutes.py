"""Reads the counters that heartbeats note once a minute, as a series of the last day (lua/lib/minutes.lua)."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from operator import attrgetter
from typing import Any

from worker.redis_client.connect import BytesRedis, server_ms

MINUTE_MS = 60_000
DAY_MINUTES = 1440
NOTES_REMEMBERED = 4096
"""Decoded notes that a process keeps: a page that shows the day is read again and again, and a note never changes."""
_COUNTED = ("recorded", "applied", "calls", "failures", "dead_lettered")
_STATE = ("due", "later", "in_flight")
_counts_of = attrgetter(*_COUNTED)
_COUNTERS, _VALUES = len(_COUNTED), len(_COUNTED) + len(_STATE) + 1
_Note = tuple[int, Mapping[str, Sequence[int]]]


@dataclass(frozen=True, slots=True)
class Minute:
    """What happened in one minute, and the state at its end."""

    at_ms: int
    """When it began."""
    recorded: int = 0
    """Events that came in."""
    applied: int = 0
    calls: int = 0
    failures: int = 0
    """Calls that were retried, throttled or given up."""
    dead_lettered: int = 0
    due: int = 0
    """Logins whose call is due."""
    later: int = 0
    """Logins that wait for a later time, such as the next attempt."""
    in_flight: int = 0
    oldest_due_seconds: float = 0.0

    @property
    def waiting(self) -> int:
        """Logins whose wish is not applied yet."""
        return self.due + self.later + self.in_flight


class Minutes:
    """The counters behind one Redis client."""

    def __init__(self, client: BytesRedis, *, now_ms: Callable[[], int] | None = None) -> None:
        self._redis = client
        self._now_ms = now_ms

    def series(self, *, minutes: int = DAY_MINUTES, step: int = 1, instance: str | None = None) -> list[Minute | None]:
        """Return the last whole minutes, oldest first; or the sums of `step` minutes, with the state at their end.

        None is a gap: no worker was alive, or it cannot be known what happened. Without `instance`, all are added up.
        """
        raw = self._redis.lrange("nightly:minutes", -(minutes + 2), -1)
        notes = [each for each in raw if _read(each) is not None]
        minutes_between = (_between(before, after, instance) for before, after in pairwise(notes))
        known = {minute.at_ms: minute for minute in minutes_between if minute is not None}
        end = self.now_ms() // MINUTE_MS * MINUTE_MS
        start = end - minutes // step * step * MINUTE_MS
        single = [known.get(at) for at in range(start, end, MINUTE_MS)]
        return single if step == 1 else in_steps(single, step)

    def now_ms(self) -> int:
        """Return Redis' clock."""
        return self._now_ms() if self._now_ms else server_ms(self._redis)


@lru_cache(maxsize=NOTES_REMEMBERED)
def _read(raw: bytes) -> _Note | None:
    """Return a note; None: a person has changed it."""
    try:
        at, counters = json.loads(raw)
        return int(at), {str(name): [int(value) for value in values] for name, values in counters.items()}
    except (ValueError, TypeError, AttributeError):
        return None


@lru_cache(maxsize=NOTES_REMEMBERED)
def _between(raw_before: bytes, raw_after: bytes, instance: str | None) -> Minute | None:
    """Return the minute between two notes; None if they are not of neighbouring minutes."""
    earlier, later = _read(raw_before), _read(raw_after)
    if earlier is None or later is None or later[0] // MINUTE_MS != earlier[0] // MINUTE_MS + 1:
        return None
    (began, before), (ended, after) = earlier, later
    names = after.keys() if instance is None else after.keys() & {instance}
    minutes = [_minute(began, ended, before.get(name, ()), after[name]) for name in names]
    known = [minute for minute in minutes if minute is not None]
    return _together(began // MINUTE_MS * MINUTE_MS, known) if len(known) == len(minutes) else None


def _minute(began: int, ended: int, before: Sequence[int], after: Sequence[int]) -> Minute | None:
    """Return the difference of two notes; None if a counter fell, as after a person deleted a part of the ledger."""
    if len(after) != _VALUES or (before and len(before) != _VALUES):
        return None
    counts = [new - old for new, old in zip(after, before or [0] * _VALUES, strict=True)][:_COUNTERS]
    if min(counts) < 0:
        return None
    values: dict[str, Any] = dict(zip((*_COUNTED, *_STATE), (*counts, *after[_COUNTERS:-1]), strict=True))
    return Minute(began, oldest_due_seconds=max(0.0, (ended - after[-1]) / 1000) if after[-1] else 0.0, **values)


def _together(at_ms: int, instances: Sequence[Minute]) -> Minute:
    """Return the sum of all instances; the oldest due login is that of any."""
    sums = {name: sum(getattr(minute, name) for minute in instances) for name in (*_COUNTED, *_STATE)}
    oldest = max((minute.oldest_due_seconds for minute in instances), default=0.0)
    return Minute(at_ms, oldest_due_seconds=oldest, **sums)


def in_steps(minutes: Sequence[Minute | None], step: int) -> list[Minute | None]:
    """Return the sums of each `step` minutes of a series, with the state at their end."""
    return [_in_a_row(minutes[at : at + step]) for at in range(0, len(minutes), step)]


def _in_a_row(minutes: Sequence[Minute | None]) -> Minute | None:
    """Return the sum of the known minutes, with the state at the end of the last one."""
    known = [minute for minute in minutes if minute is not None]
    if not known:
        return None
    sums: dict[str, Any] = dict(zip(_COUNTED, map(sum, zip(*map(_counts_of, known), strict=True)), strict=True))
    oldest = max(minute.oldest_due_seconds for minute in known)
    return replace(known[-1], at_ms=known[0].at_ms, oldest_due_seconds=oldest, **sums)
