"""Decides what a backlog of N events is: the same logins and wishes for every producer and judge.

Needs the standard library alone: the rivals run it too, in an environment of their own.
"""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

SEED = 2026


class Wish(NamedTuple):
    """One event: a login that occurs once in the backlog, and whether its refresh shall be on."""

    login_id: str
    is_on: bool


def backlog(count: int) -> Iterator[Wish]:
    """Return `count` events, the same ones at every call."""
    chance = random.Random(SEED)
    for _ in range(count):
        yield Wish(str(UUID(int=chance.getrandbits(128), version=4)), chance.random() < 0.5)  # noqa: PLR2004 - a coin


def cloudevent(number: int, wish: Wish) -> str:
    """Return the event as producers send it to a stream."""
    return json.dumps(
        {
            "specversion": "1.0",
            "id": f"evt-{number}",
            "source": "bench",
            "type": "account.linked" if wish.is_on else "account.inactive",
            "time": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "subject": f"cust-{number}",
            "data": {"loginId": wish.login_id},
        }
    )
