"""The ledger: what should be, per login, in Redis. Changed only by the Lua scripts in `lua/`.

models.py        the values that go in and come out
ledger.py        record, settle and claim, pulse: what workers do
dead_letters.py  list, show, replay, resolve
queries.py       read-only: status, and everything known of one login
gate_control.py  what a person may do to the gate
attempts.py      the last attempts of a login
login_fields.py  the short names of a login's fields in Redis
scripts.py       loads and runs the Lua scripts
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
