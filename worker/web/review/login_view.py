"""Puts one login into the words of its page: its state, why it waits, and the facts about it. Does no I/O."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from worker.operations.waiting_reason import waiting_reason
from worker.web.review.letter_view import Fact

MOVING_SECONDS, STILL_SECONDS = 3, 20
"""How often a page with the login renews itself: while a call is due or in flight, and otherwise."""
_KINDS = {"waiting": "warn", "in_flight": "info", "applied": "good", "dead_lettered": "bad"}


@dataclass(frozen=True, slots=True)
class LoginState:
    """What a login does now."""

    text: str
    kind: str
    """Of its badge."""
    why: str
    """Why its newest wish is not applied yet, as a sentence; empty if nothing waits."""
    every_seconds: int


def login_state(login: Mapping[str, Any], gate: Mapping[str, Any], workers: Sequence[Any], now_ms: int) -> LoginState:
    """Return the state of a login, from `Views`."""
    why = waiting_reason(login, gate, workers, now_ms, on_page=True)
    return LoginState(
        text=login["state"].replace("_", " "),
        kind=_KINDS.get(login["state"], ""),
        why=f"{why[:1].upper()}{why[1:].removesuffix('.')}." if why else "",
        every_seconds=MOVING_SECONDS if login["state"] in {"waiting", "in_flight"} else STILL_SECONDS,
    )


def login_facts(login: Mapping[str, Any]) -> Iterator[Fact]:
    """Yield what is known about a login; a fact without a value and a time is left out by the page."""
    confirmed = login["confirmed_wish"]
    yield "account", login["account_id"] or "", None
    yield "wish", f"{login['wish']}, of an event", login["occurred_us"] // 1000
    yield "by event", f"{login['event_id']} (revision {login['revision']}, {login['lane']} lane)", None
    yield "Flinks has", f"{confirmed}, confirmed" if confirmed else "confirmed nothing yet", login["confirmed_at"]
    yield "failures", f"{login['failures']:,} since the last success" if login["failures"] else "", None
    yield "next call", "", login["due_at"]
