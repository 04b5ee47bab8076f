"""The ledger: what should be, per login, in Redis. Changed only by the Lua scripts in `lua/`.

model.py    the values that go in and come out
store.py    record, claim, settle, pulse: what workers do
letters.py  dead letters: list, show, replay, resolve
views.py    read-only: status, and everything known of one login
gate.py     what a person may do to the gate
doorbell.py has a worker pulse for what was recorded by somebody else
"""

from worker.ledger.letters import Letters
from worker.ledger.model import (
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
from worker.ledger.store import Ledger

__all__ = [
    "Claim",
    "ClaimReply",
    "Lane",
    "Ledger",
    "Letters",
    "Notice",
    "Pulse",
    "Recorded",
    "Settled",
    "Settlement",
    "Wish",
]
