"""Calls of the ledger for tests: `settle_and_claim` or one half of it, and listing or closing dead letters."""

import asyncio
import atexit
import os
import threading
from collections.abc import Sequence
from functools import cache
from typing import Any, Literal

from worker.ledger import Claim, ClaimReply, Ledger, Letters, Settled, Settlement
from worker.ledger.audit import Actor
from worker.ledger.dead_letters import Letter
from worker.ledger.letter_changes import Act, LetterChanges
from worker.ledger.letter_filter import LetterFilter
from worker.ledger.letter_queries import LetterPages


def ended(claim: Claim, outcome: str, *, attempt: str = "", **fields: Any) -> Settlement:
    """Return how a call ended as a worker says it: a success has its code, and an attempt only beside stored ones."""
    if outcome != "applied":
        return Settlement(claim, outcome, attempt=attempt, **fields)
    fields["code"] = fields.get("code") or "applied"
    return Settlement(claim, outcome, attempt=attempt if claim.has_history else "", **fields)


def claim(ledger: Ledger, instance: str, **terms: Any) -> ClaimReply:
    """Claim only."""
    return settle_and_claim(ledger, instance, [], **terms)[1]


def settle(ledger: Ledger, instance: str, settlements: Sequence[Settlement], **terms: Any) -> list[Settled]:
    """Settle only."""
    unused = {"lease_seconds": 1, "settle_seconds": 0, "max_in_flight": 1}
    return settle_and_claim(ledger, instance, settlements, at_most=0, **{"worker": ""} | terms | unused)[0]


def settle_and_claim(
    ledger: Ledger, instance: str, settlements: Sequence[Settlement], **terms: Any
) -> tuple[list[Settled], ClaimReply]:
    """Settle and claim, outside an event loop."""
    run = _runner(os.getpid()).run if threading.current_thread() is threading.main_thread() else asyncio.run
    return run(ledger.settle_and_claim(instance, settlements, **terms))


@cache
def _runner(_pid: int) -> asyncio.Runner:
    """Return one event loop for all calls of a process: opening one for each would take longer than the call."""
    runner = asyncio.Runner()
    atexit.register(runner.close)
    return runner


def close(letters: Letters, letter_id: str, status: Literal["replayed", "resolved"], *, by: str, note: str = "") -> str:
    """Replay or resolve a dead letter as a person does with the command; returns its new status."""
    changes = LetterChanges(letters.redis, now_ms=letters._now_ms)
    verb = {"replayed": "replay", "resolved": "resolve"}[status]
    return changes.close(Act(letter_id, Actor(by, "operator", "cli"), verb, note), status)[0]


def list_letters(letters: Letters, **wanted: Any) -> list[Letter]:
    """Return the dead letters that match a LetterFilter of these fields, oldest first."""
    pages = LetterPages(letters.redis, now_ms=letters._now_ms)
    return list(pages.letters(LetterFilter(**wanted)))[::-1]
