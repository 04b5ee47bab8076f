"""The ledger: what should be, per login, in Redis. Changed only by the Lua scripts in `lua/`.

model.py    the values that go in and come out
store.py    record, claim, settle, pulse: what workers do
letters.py  dead letters: list, show, replay, resolve
views.py    read-only: status, and everything known of one login
gate.py     what a person may do to the gate
"""

import redis

from worker.errors import LedgerMismatch, NotReplicated
from worker.ledger.dead_letters import Letters, Message, Parked
from worker.ledger.ledger import Ledger
from worker.ledger.models import (
    Claim,
    ClaimReply,
    Lane,
    Notice,
    Pulse,
    Recorded,
    Settled,
    Settlement,
    Wish,
)

LEDGER_UNAVAILABLE = (redis.RedisError, LedgerMismatch, NotReplicated)
"""What recording raises while the ledger cannot take an event: the event stays where it is, and is tried again."""

__all__ = [
    "LEDGER_UNAVAILABLE",
    "Claim",
    "ClaimReply",
    "Lane",
    "Ledger",
    "Letters",
    "Message",
    "Notice",
    "Parked",
    "Pulse",
    "Recorded",
    "Settled",
    "Settlement",
    "Wish",
]
