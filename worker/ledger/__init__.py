"""The ledger in Redis: the wish of each login, and how far it is applied. Lua scripts in `lua/` change it.

models.py        the values that go in and come out
ledger.py        record, settle and claim, pulse: what workers do
arguments.py     translates those values into the scripts' arguments, and their replies back
dead_letters.py  keep, find, read; letter_changes.py: what people do to them
group_views.py  the groups of open letters, with what people said of them
letter_filter.py, letter_queries.py  find dead letters by a filter, page by page
queries.py       reads: status, and one login
minutes.py       the counters that heartbeats note once a minute
gate_control.py  opens and closes the gate by hand
history.py       the history of a troubled login
login_fields.py  the short names of a login's fields in Redis
audit.py         the audit log: who changed what, in a chain of hashes (audit_entries.py)
stream_state.py  reads the state of the event stream
scripts.py       loads and runs the Lua scripts
"""

import redis

from worker.errors import LedgerMismatch, NotReplicated
from worker.ledger.dead_letters import Kept, Letters, Message
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
"""What recording raises while the ledger cannot accept an event: the event stays in its queue and is tried again."""

__all__ = [
    "LEDGER_UNAVAILABLE",
    "Claim",
    "ClaimReply",
    "Kept",
    "Lane",
    "Ledger",
    "Letters",
    "Message",
    "Notice",
    "Pulse",
    "Recorded",
    "Settled",
    "Settlement",
    "Wish",
]
