"""Generates the demo's events, and the wish that each login must end with.

The newest wish is computed here from the published events by the contract alone (`occurred_at` decides; at the same
instant inactive wins), so the check does not depend on Nightly's code. The same seed and time give the same mix.
"""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from sandbox.demo.faults import Fault, always, volleys
from sandbox.demo.malformed import malformed_documents, malformed_entries, malformed_messages

EVENTS_A_LOGIN = 2
UNKNOWN_SHARE = 0.04
MALFORMED_SHARE = 0.03
DUPLICATE_SHARE = 0.08
CELERY_SHARE = 0.12
BATCH_SHARE = 0.3
MOST_IN_A_BATCH = 20
# The wishes of a known login in order, each at least a minute after the one before, and the share of such logins.
STORIES: Mapping[tuple[bool, ...], float] = {
    (True,): 0.34,
    (False,): 0.08,
    (True, False): 0.22,
    (True, False, True): 0.34,
}
SAME_INSTANT_SHARE = 0.02
"""Share of logins that are linked and become inactive at the same instant."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event as the customer's own systems know it."""

    login_id: str = field(repr=False)
    wants_active: bool
    occurred_at: datetime
    event_id: str

    @property
    def type(self) -> str:
        """The type on the wire."""
        return "account.linked" if self.wants_active else "account.inactive"

    def cloud_event(self) -> dict[str, Any]:
        """Return the event as CloudEvents 1.0 JSON."""
        return {
            "specversion": "1.0",
            "id": self.event_id,
            "source": "nightly-demo",
            "type": self.type,
            "time": self.occurred_at.isoformat(),
            "data": {"loginId": self.login_id},
        }

    def arguments(self) -> dict[str, str]:
        """Return the event as the keyword arguments of a Celery message."""
        time = self.occurred_at.isoformat()
        return {"login_id": self.login_id, "occurred_at": time, "event_id": self.event_id}


@dataclass(frozen=True, slots=True)
class StreamEntry:
    """One XADD: its fields and the number of events in them."""

    fields: dict[str, bytes] = field(repr=False)
    events: int = 1


@dataclass(frozen=True, slots=True)
class CeleryMessage:
    """One `send_task`."""

    task: str
    kwargs: Mapping[str, Any] = field(repr=False)
    args: Sequence[Any] = field(default=(), repr=False)
    events: int = 1


Parcel = StreamEntry | CeleryMessage


@dataclass(frozen=True)
class Mix:
    """Everything that the demo publishes, and the expected result."""

    parcels: Sequence[Parcel] = field(repr=False)
    newest: Mapping[str, bool] = field(repr=False)
    """The wish that each known login must end with."""
    unknown: frozenset[str] = field(repr=False)
    """Logins that Flinks does not know, with one event each and its duplicates."""
    good: int
    """Well-formed events, duplicates included."""
    rejected: Mapping[str, int]
    """Malformed events by the code that each must get."""
    faults: Sequence[Fault] = field(repr=False)
    volleys: Sequence[Fault] = field(repr=False)
    """Throttling faults, set one after another while events are published."""

    @property
    def events(self) -> int:
        """The number of events that the demo publishes."""
        return self.good + sum(self.rejected.values())

    @property
    def logins(self) -> int:
        """The number of logins in the well-formed events."""
        return len(self.newest) + len(self.unknown)


def mix_of(events: int, chance: Random, now: datetime) -> Mix:
    """Return at least `events` events for half as many logins, all dated before `now`."""
    logins = [str(UUID(int=chance.getrandbits(128), version=4)) for _ in range(events // EVENTS_A_LOGIN)]
    unknown = logins[: math.ceil(UNKNOWN_SHARE * len(logins))]
    known = logins[len(unknown) :]
    unique = [event for login in known for event in _story(login, chance, now)]
    newest = newest_wishes(unique)
    unique += [_event(login, now, chance, wants_active=chance.random() < 0.5) for login in unknown]  # noqa: PLR2004 - half
    bad_count = math.ceil(MALFORMED_SHARE * events)
    good = unique + chance.choices(unique, k=max(math.ceil(DUPLICATE_SHARE * events), events - len(unique) - bad_count))
    chance.shuffle(good)  # a login's events arrive in any order, seconds apart
    parcels, rejected = _parcels(good, bad_count, chance, now)
    return Mix(
        parcels=parcels,
        newest=newest,
        unknown=frozenset(unknown),
        good=len(good),
        rejected=rejected,
        faults=always(known, unknown, chance),
        volleys=volleys(chance),
    )


def newest_wishes(events: Iterable[Event]) -> dict[str, bool]:
    """Return each login's newest wish; at the same instant, inactive wins."""
    newest: dict[str, Event] = {}
    for event in events:
        other = newest.get(event.login_id)
        if other is None or _order(event) > _order(other):
            newest[event.login_id] = event
    return {login: event.wants_active for login, event in newest.items()}


def _order(event: Event) -> tuple[datetime, bool]:
    return event.occurred_at, not event.wants_active


def _story(login: str, chance: Random, now: datetime) -> list[Event]:
    if chance.random() < SAME_INSTANT_SHARE:
        linked = _event(login, now, chance, wants_active=True)
        return [
            linked,
            Event(login, wants_active=False, occurred_at=linked.occurred_at, event_id=linked.event_id + "-b"),
        ]
    (story,) = chance.choices(list(STORIES), list(STORIES.values()))
    begun = _event(login, now, chance, wants_active=story[0])
    times = [begun.occurred_at + timedelta(minutes=hour * 60 + chance.randint(1, 59)) for hour in range(len(story) - 1)]
    later = [
        Event(login, wants_active=wish, occurred_at=at, event_id=f"{begun.event_id}-{at:%H%M}")
        for wish, at in zip(story[1:], times, strict=True)
    ]
    return [begun, *later]


def _event(login: str, now: datetime, chance: Random, *, wants_active: bool) -> Event:
    at = now - timedelta(seconds=chance.randint(4 * 3600, 24 * 3600))
    return Event(login, wants_active, at, f"evt-{chance.getrandbits(64):016x}")


def _parcels(
    good: Sequence[Event], bad_count: int, chance: Random, now: datetime
) -> tuple[list[Parcel], Mapping[str, int]]:
    """Distribute valid and malformed events over Celery messages, stream entries and batches."""
    third = bad_count // 3
    bad_batch = malformed_documents(third, chance, now)
    bad_entries = malformed_entries(third, chance, now)
    bad_messages = malformed_messages(bad_count - 2 * third, chance, now)
    by_celery, in_a_batch = round(CELERY_SHARE * len(good)), round(BATCH_SHARE * len(good))
    parcels: list[Parcel] = [CeleryMessage(event.type, event.arguments()) for event in good[:by_celery]]
    parcels += [CeleryMessage(bad.task, bad.kwargs, bad.args) for bad in bad_messages]
    documents = [event.cloud_event() for event in good[by_celery : by_celery + in_a_batch]]
    documents += [bad.document for bad in bad_batch]
    chance.shuffle(documents)
    parcels += _batches(documents, chance)
    parcels += [StreamEntry({"event": _json(event.cloud_event())}) for event in good[by_celery + in_a_batch :]]
    parcels += [StreamEntry(bad.fields) for bad in bad_entries]
    chance.shuffle(parcels)
    codes = [*(b.code for b in bad_batch), *(e.code for e in bad_entries), *(m.code for m in bad_messages)]
    return parcels, Counter(codes)


def _batches(documents: Sequence[Mapping[str, Any]], chance: Random) -> list[StreamEntry]:
    batches, at = [], 0
    while at < len(documents):
        batch = documents[at : at + chance.randint(2, MOST_IN_A_BATCH)]
        batches.append(StreamEntry({"event": _json(batch)}, events=len(batch)))
        at += len(batch)
    return batches


def _json(document: object) -> bytes:
    return json.dumps(document).encode()
