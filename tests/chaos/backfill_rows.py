"""Draws the file of a backfill and the events around it, and works out the expected outcome of each row.

The expectation follows from the file, the events and the calls at Flinks, by the contract alone; no product code is
used.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random

from sandbox.emulator.calls import Call
from tests.chaos.traffic import Event

AS_OF = "2026-01-01T02:00:00Z"
AS_OF_MINUTE = 120
"""The same moment, as events count."""
HEADER = "loginId,account_id"
SETTLED_SECONDS = 12.0
"""Seconds after Flinks' response within which a call is settled, or is lost with its worker and made again."""


class Kind(StrEnum):
    """The kind of a row; the number is its percentage."""

    FRESH = "fresh"
    INVALID = "invalid"
    DUPLICATE = "duplicate"
    UNKNOWN = "unknown"
    ALREADY = "already"
    OLDER = "older"
    NEWER = "newer"
    RACING = "racing"


SHARES = {
    Kind.INVALID: 0.03,
    Kind.DUPLICATE: 0.06,
    Kind.UNKNOWN: 0.02,
    Kind.ALREADY: 0.08,
    Kind.OLDER: 0.05,
    Kind.NEWER: 0.05,
    Kind.RACING: 0.10,
}
"""The other rows are new logins."""
BEFORE: Mapping[Kind, tuple[bool, int]] = {
    Kind.ALREADY: (True, AS_OF_MINUTE - 9),
    Kind.OLDER: (False, AS_OF_MINUTE - 9),
    Kind.NEWER: (False, AS_OF_MINUTE + 9),
}
"""The wish and the time of a live event for such a login before the backfill."""
NO_ROW = ("", "one,two,three,four,five", "   ,cust")


@dataclass(frozen=True, slots=True)
class Drawn:
    """One row of the file."""

    kind: Kind
    line: int
    text: str = field(repr=False)
    login: str = field(default="", repr=False)
    account: str | None = None


def draw_rows(count: int, chance: Random) -> list[Drawn]:
    """Return `count` rows; a duplicate follows its original and has no racing live event."""
    rows: list[Drawn] = []
    for line in range(2, count + 2):
        kind = _kind(chance)
        earlier = [row for row in rows[-400:] if row.kind not in {Kind.INVALID, Kind.RACING}]
        if kind is Kind.DUPLICATE and not earlier:
            kind = Kind.FRESH
        if kind is Kind.INVALID:
            rows.append(Drawn(kind, line, chance.choice(NO_ROW[1:])))
            continue
        login = chance.choice(earlier).login if kind is Kind.DUPLICATE else _login(chance)
        account = f"cust-{line}"
        rows.append(Drawn(kind, line, f"{login},{account}", login, account))
    return rows


def events_before(rows: Sequence[Drawn], chance: Random) -> list[Event]:
    """Return the live events from before the backfill."""
    return [_event(row, *BEFORE[row.kind], chance) for row in rows if row.kind in BEFORE]


def events_beside(rows: Sequence[Drawn], chance: Random) -> list[Event]:
    """Return the newer live events during the backfill, in the order of sending."""
    racing = [_event(row, False, AS_OF_MINUTE + 9, chance) for row in rows if row.kind is Kind.RACING]  # noqa: FBT003
    chance.shuffle(racing)
    return racing


def expected(rows: Sequence[Drawn], calls: Sequence[Call], sent_at: Mapping[str, float]) -> list[frozenset[str]]:
    """Return the allowed outcomes of each row: one, or two where a call and a live event may meet.

    `sent_at`: when the event of each racing login was sent, in seconds since 1970.
    """
    switched_on: dict[str, list[Call]] = {}
    for call in calls:
        if call.login_id is not None and call.wish is True:
            switched_on.setdefault(call.login_id, []).append(call)
    first: dict[str, Kind] = {}
    found = []
    for row in rows:
        kind = first.setdefault(row.login, row.kind) if row.login else row.kind
        if kind is Kind.RACING:
            found.append(_raced(switched_on.get(row.login, []), sent_at[row.login]))
        elif row.kind is Kind.DUPLICATE:
            found.append(frozenset({"superseded" if kind is Kind.NEWER else "duplicate"}))
        else:
            found.append(_OUTCOMES[kind])
    return found


def flags_expected(rows: Sequence[Drawn]) -> dict[str, bool]:
    """Return the final flag at Flinks for every known login."""
    first: dict[str, Kind] = {}
    for row in rows:
        if row.login:
            first.setdefault(row.login, row.kind)
    return {login: kind not in {Kind.NEWER, Kind.RACING} for login, kind in first.items() if kind is not Kind.UNKNOWN}


_OUTCOMES = {
    Kind.FRESH: frozenset({"applied"}),
    Kind.OLDER: frozenset({"applied"}),
    Kind.INVALID: frozenset({"invalid"}),
    Kind.UNKNOWN: frozenset({"dead"}),
    Kind.ALREADY: frozenset({"already"}),
    Kind.NEWER: frozenset({"superseded"}),
}


def _raced(calls: Sequence[Call], sent_at: float) -> frozenset[str]:
    if not calls:
        return frozenset({"superseded"})
    answered = [call.ended_at for call in calls if call.status is not None and call.ended_at is not None]
    last = calls[-1].ended_at
    if answered and last is not None and last + SETTLED_SECONDS < sent_at:
        return frozenset({"applied"})
    return frozenset({"applied", "superseded"})


def _kind(chance: Random) -> Kind:
    drawn = chance.random()
    for kind, share in SHARES.items():
        drawn -= share
        if drawn < 0:
            return kind
    return Kind.FRESH


def _login(chance: Random) -> str:
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))


def _event(row: Drawn, wants_active: bool, minute: int, chance: Random) -> Event:  # noqa: FBT001 - the wish
    return Event(row.login, wants_active, minute, f"evt-{chance.getrandbits(64):016x}")
