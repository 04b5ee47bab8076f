"""The check of the audit log for `nightly doctor`."""

from worker.ledger.audit_entries import Verification
from worker.operations.checks import Check, Level

CHECKED_AT_MOST = 10_000
"""Entries, the newest; `nightly audit-log verify` checks all."""


def check_audit(found: Verification) -> Check:
    """Check that the newest entries of the audit log are a whole chain, and show its head, to be noted elsewhere."""
    name = "audit log"
    if found.broken_at is not None:
        advice = "Keep Redis as it is, and run nightly audit-log verify --heads LOG with the log of a worker."
        return Check(name, Level.FAIL, f"broken at entry {found.broken_at:,}: {found.reason}", advice)
    if not found.head.number:
        return Check(name, Level.OK, "no entry yet")
    return Check(name, Level.OK, f"the newest {found.count:,} entries are intact; the head: {found.head.grouped}")
