"""Draws the events of a chaos run and their expected results. The same seed draws the same events.

The newest wish of a login follows from the contract alone: the greatest `occurred_at`, then inactive before linked,
then the greater id.
"""

import json
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from worker.vault.sealed_box import SealingKey

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
TWICE, SAME_INSTANT, STRAYING = 0.1, 0.02, 0.4
STRAYS_BY = 0.3
"""A misordered event arrives too early or too late by up to this part of the run."""
BATCHED, BY_CELERY = 0.3, 0.2
MOST_IN_A_BATCH = 20
UNKNOWN = 0.01
MALFORMED = 0.002
CANARIES = ("5e1f0aaa-1111-4222-8333-c0ffee00c0de", "L0gin-canary-abcdef-123456", "CanaryOfLettersAlone")
UNKNOWN_CANARY = "5e1f0bbb-1111-4222-8333-c0ffee00c0de"
BROKEN_CANARY = "5e1f0ccc-1111-4222-8333-c0ffee00c0de"


@dataclass(frozen=True, slots=True)
class Event:
    login: str = field(repr=False)
    wants_active: bool
    minute: int
    id: str

    @property
    def rank(self) -> tuple[int, bool, str]:
        """Greater is newer."""
        return self.minute, not self.wants_active, self.id

    @property
    def type(self) -> str:
        return "account.linked" if self.wants_active else "account.inactive"

    @property
    def is_sealed(self) -> bool:
        """Half of the producers seal the loginId, if they have the public key of the workers."""
        return self.id[-1] in "02468ace"

    def document(self, key: SealingKey | None = None) -> dict[str, Any]:
        """The event as CloudEvents 1.0 JSON."""
        time = (BEGIN + timedelta(minutes=self.minute)).isoformat()
        data = {"sealedLoginId": key.seal(self.login)} if key and self.is_sealed else {"loginId": self.login}
        return {"specversion": "1.0", "id": self.id, "source": "chaos", "type": self.type, "time": time, "data": data}

    def arguments(self, key: SealingKey | None = None) -> dict[str, str]:
        """The event as a Celery message."""
        time = (BEGIN + timedelta(minutes=self.minute)).isoformat()
        login = {"sealed_login_id": key.seal(self.login)} if key and self.is_sealed else {"login_id": self.login}
        return {**login, "occurred_at": time, "event_id": self.id}


@dataclass(frozen=True, slots=True)
class Parcel:
    """What is sent at once: one Celery message, one stream entry with events, or one unreadable entry."""

    events: tuple[Event, ...]
    is_celery: bool = False
    malformed: bytes = b""

    def body(self, key: SealingKey) -> bytes:
        """The field `event` of the stream entry."""
        documents = [event.document(key) for event in self.events]
        return self.malformed or json.dumps(documents[0] if len(documents) == 1 else documents).encode()


@dataclass(frozen=True)
class Traffic:
    """Everything that is sent, in the order of sending, and its expected results."""

    parcels: Sequence[Parcel]
    events: Sequence[Event]
    """Each event once, although some are sent twice."""
    newest: dict[str, Event]
    unknown: frozenset[str]
    """Logins that Flinks does not know."""
    malformed: int


def draw(events: int, logins: int, chance: Random) -> Traffic:
    """Draw `count` events, with at least one for each login."""
    names = [*CANARIES, UNKNOWN_CANARY]
    names += [str(uuid.UUID(int=chance.getrandbits(128), version=4)) for _ in range(logins - len(names))]
    owners = names + chance.choices(names, k=events - len(names))
    drawn, newest = [], {}
    for login, count in Counter(owners).items():
        history = list(_history(login, count, chance))
        newest[login] = max((event for _, event in history), key=lambda event: event.rank)
        drawn += history
    unknown = frozenset({UNKNOWN_CANARY, *chance.sample(names[len(CANARIES) :], int(UNKNOWN * logins))})
    deliveries = [(_arrival(at, chance), event) for at, event in drawn]
    deliveries += [(_arrival(at, chance), event) for at, event in chance.sample(drawn, int(TWICE * events))]
    deliveries.sort(key=lambda delivery: delivery[0])
    parcels = list(_parcels([event for _, event in deliveries], chance))
    malformed = int(MALFORMED * events)
    for number in range(malformed):
        parcels.insert(chance.randrange(len(parcels)), _malformed(number))
    return Traffic(parcels, [event for _, event in drawn], newest, unknown, malformed)


def _history(login: str, count: int, chance: Random) -> Iterator[tuple[float, Event]]:
    """Link, inactive, link again: each event with the part of the run at which it happened."""
    wants_active, minute = chance.random() < 0.7, 0
    for number in range(count):
        event_id = f"evt-{chance.getrandbits(64):016x}"
        yield (number + chance.random()) / count, Event(login, wants_active, minute, event_id)
        wants_active = not wants_active if chance.random() < 0.9 else wants_active
        minute += chance.random() >= SAME_INSTANT


def _arrival(at: float, chance: Random) -> float:
    return at + (chance.uniform(-STRAYS_BY, STRAYS_BY) if chance.random() < STRAYING else 0)


def _parcels(events: Sequence[Event], chance: Random) -> Iterator[Parcel]:
    at = 0
    while at < len(events):
        drawn = chance.random()
        size = chance.randint(2, MOST_IN_A_BATCH) if drawn < BATCHED / (MOST_IN_A_BATCH / 2) else 1
        yield Parcel(tuple(events[at : at + size]), is_celery=size == 1 and chance.random() < BY_CELERY / (1 - BATCHED))
        at += size


def _malformed(number: int) -> Parcel:
    document = Event(BROKEN_CANARY, wants_active=True, minute=0, id=f"bad-{number}").document() | {"time": "yesterday"}
    return Parcel((), malformed=json.dumps(document).encode())
