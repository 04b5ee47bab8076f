"""Generates the demo's malformed events, and the dead-letter code that each must get.

Each has its own login, which no valid event uses: a call for that login would be an error.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import cycle, islice
from random import Random
from typing import Any
from uuid import UUID

INVALID, STRANGE_INSTANCE = "invalid_event", "unknown_instance"
AHEAD = timedelta(days=2)
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class BadDocument:
    """A document that is not a valid event."""

    document: Document = field(repr=False)
    code: str


@dataclass(frozen=True, slots=True)
class BadEntry:
    """The fields of a stream entry without a valid event."""

    fields: dict[str, bytes] = field(repr=False)
    code: str


@dataclass(frozen=True, slots=True)
class BadMessage:
    """A Celery message that is not a valid event."""

    task: str
    kwargs: Mapping[str, Any] = field(repr=False)
    args: Sequence[Any] = field(repr=False)
    code: str


def malformed_documents(count: int, chance: Random, now: datetime) -> list[BadDocument]:
    """Return CloudEvents with one mistake each."""
    mistakes: list[tuple[str, Callable[[Document], Document]]] = [
        (INVALID, lambda good: {name: value for name, value in good.items() if name != "time"}),
        (INVALID, lambda good: good | {"time": "yesterday"}),
        (INVALID, lambda good: good | {"time": (now + AHEAD).isoformat()}),
        (INVALID, lambda good: good | {"type": "account.deleted"}),
        (INVALID, lambda good: good | {"specversion": "0.3"}),
        (INVALID, lambda good: good | {"data": {"login": good["data"]["loginId"]}}),
        (INVALID, lambda good: good | {"data": {"loginId": 42}}),
        (STRANGE_INSTANCE, lambda good: good | {"data": good["data"] | {"instance": "acme-us"}}),
    ]
    chosen = islice(cycle(mistakes), count)
    return [BadDocument(spoil(_good_document(chance, now)), code) for code, spoil in chosen]


def malformed_entries(count: int, chance: Random, now: datetime) -> list[BadEntry]:
    """Return stream entries with one malformed document each, with bytes that are no document, or without `event`."""
    whole = count // 2
    entries = [
        BadEntry({"event": json.dumps(bad.document).encode()}, bad.code)
        for bad in malformed_documents(whole, chance, now)
    ]
    fields = cycle([{"event": b"\xff\xfe"}, {"event": b"{"}, {"event": b"[]"}, {"event": b"null"}, {"evnet": b"{}"}])
    return entries + [BadEntry(each, INVALID) for each in islice(fields, count - whole)]


def malformed_messages(count: int, chance: Random, now: datetime) -> list[BadMessage]:
    """Return Celery messages whose arguments are positional, missing, misspelt, or name an unknown instance."""
    messages = []
    for number in range(count):
        login, time = _login(chance), (now - AHEAD).isoformat()
        args, kwargs, code = [
            ((login, time), {}, INVALID),
            ((), {"login_id": login}, INVALID),
            ((), {"loginId": login, "occurred_at": time}, INVALID),
            ((), {"login_id": login, "occurred_at": time, "instance": "acme-us"}, STRANGE_INSTANCE),
        ][number % 4]
        messages.append(BadMessage(chance.choice(["account.linked", "account.inactive"]), kwargs, args, code))
    return messages


def _good_document(chance: Random, now: datetime) -> Document:
    return {
        "specversion": "1.0",
        "id": f"evt-{chance.getrandbits(64):016x}",
        "source": "nightly-demo",
        "type": "account.linked",
        "time": (now - AHEAD).isoformat(),
        "data": {"loginId": _login(chance)},
    }


def _login(chance: Random) -> str:
    return str(UUID(int=chance.getrandbits(128), version=4))
