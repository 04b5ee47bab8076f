"""Draws the dead letters of the bulk scenario: which logins and messages, and what will happen to each."""

import json
import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any

from tests.chaos.scene import Scene
from tests.chaos.traffic import Event

STREAM = "account-events:stream"
AHEAD_SECONDS, AHEAD_LETTERS = 6.0, 200
"""How far ahead some messages are dated, which makes them dead letters until then: at least so long, and a second for
so many letters, as intake takes time."""
MESSAGES = 0.04
"""Share of rejected messages; half of them will be valid."""
SHARES = {"stays unknown": 0.1, "newer event": 0.1, "closed by hand": 0.1}


@dataclass
class Drawn:
    """What was drawn. A login has one of the fates in SHARES, or none: then its replay is applied."""

    fates: dict[str, str]
    """By loginId."""
    late: list[str]
    """Logins whose events come while the job runs."""
    ahead: int
    """Events that are dated too far ahead at first."""
    broken: int
    """Messages that stay invalid."""
    valid_at: float = 0.0
    """From when on the events dated ahead are valid, in seconds since 1970; set when they are sent."""
    ids: set[str] = field(default_factory=set)
    """The letters that are open when the job is prepared."""

    @property
    def logins(self) -> list[str]:
        return list(self.fates)

    @property
    def letters(self) -> int:
        return len(self.fates) + self.ahead + self.broken

    @property
    def stay_unknown(self) -> list[str]:
        return self.with_fate("stays unknown")

    def with_fate(self, fate: str) -> list[str]:
        """Return the logins with a fate."""
        return [login for login, each in self.fates.items() if each == fate]

    def first_events(self) -> Iterator[str]:
        """Yield the events that become the dead letters."""
        self.valid_at = time.time() + max(AHEAD_SECONDS, self.letters / AHEAD_LETTERS)
        for number in range(self.ahead):
            yield json.dumps(_ahead(number, self.valid_at))
        for login in self.fates:
            yield json.dumps(_linked(login, 0).document())
        for number in range(self.broken):
            yield json.dumps({"loginId": f"broken-{number}"})

    def newer_events(self) -> Iterator[tuple[str, str]]:
        """Yield logins and the newer events that contradict their replay."""
        for login in self.with_fate("newer event"):
            event = Event(login, False, 5, f"evt-newer-{uuid.uuid5(uuid.NAMESPACE_OID, login)}")  # noqa: FBT003
            yield login, json.dumps(event.document())

    def late_events(self) -> list[str]:
        """Return the events that become dead letters while the job runs."""
        return [json.dumps(_linked(login, 0).document()) for login in self.late]


def draw(letters: int, chance: Random) -> Drawn:
    """Draw that many dead letters, and a tenth as many that come later."""
    messages = max(2, int(letters * MESSAGES))
    fates = {str(uuid.UUID(int=chance.getrandbits(128), version=4)): _fate(chance) for _ in range(letters - messages)}
    late = [str(uuid.UUID(int=chance.getrandbits(128), version=4)) for _ in range(max(1, letters // 10))]
    return Drawn(fates, late, messages // 2, messages - messages // 2)


def send(scene: Scene, events: Iterable[str]) -> None:
    """Add events to the stream."""
    with scene.redis.pipeline(transaction=False) as pipeline:
        for event in events:
            pipeline.xadd(STREAM, {"event": event})
        pipeline.execute()


def _fate(chance: Random) -> str:
    drawn = chance.random()
    for fate, share in SHARES.items():
        drawn -= share
        if drawn < 0:
            return fate
    return ""


def _linked(login: str, minute: int) -> Event:
    return Event(login, True, minute, f"evt-{uuid.uuid5(uuid.NAMESPACE_OID, login)}")  # noqa: FBT003


def _ahead(number: int, valid_at: float) -> dict[str, Any]:
    moment = datetime.fromtimestamp(valid_at, UTC).isoformat()
    about = {"specversion": "1.0", "id": f"evt-ahead-{number}", "source": "crm", "type": "account.linked"}
    return about | {"time": moment, "data": {"loginId": f"ahead-of-time-{number}"}}
