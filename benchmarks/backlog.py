"""Generates a backlog of N events: the same logins and wishes for every producer, and for the check of the result.

Uses only the standard library, because the rivals run it in their own environments.
"""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

SEED = 2026


class Wish(NamedTuple):
    """One event: a login, which occurs once in the backlog, and its wish."""

    login_id: str
    is_on: bool


def backlog(count: int) -> Iterator[Wish]:
    """Yield `count` events, the same at every call."""
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
