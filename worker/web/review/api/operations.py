"""The state of the system, gates, backfills and the audit log in the API."""

from collections.abc import Callable, Iterator
from dataclasses import asdict

from worker.errors import NightlyError
from worker.ledger.audit import Deed
from worker.ledger.stored_hash import log_it
from worker.operations import documents, job_documents, state_documents
from worker.operations.advice import alarms
from worker.operations.waiting import read_state
from worker.web.review.api.call import Call, json_line
from worker.web.review.pages.audit import VERIFIED_AT_MOST

ENTRIES, ENTRIES_AT_MOST, LARGEST = 100, 1000, 10**9


def status(call: Call) -> state_documents.Status:
    """Return the state of the whole system."""
    now_ms, state = call.parts.views.now_ms(), read_state(call.parts.client, call.parts.settings)
    needs = [asdict(each) for each in alarms(state, now_ms)]
    return state_documents.Status.of(state, read_at=now_ms, needs_a_person=needs)


def gate(call: Call) -> state_documents.Gate:
    """Return the gate of one instance, with its last changes."""
    views, name = call.parts.views, _instance(call)
    return state_documents.Gate.of(views.gate(name), instance=name, changes=views.gate_changes(name))


def open_gate(call: Call) -> state_documents.Gate:
    """Open the gate of an instance."""
    return _turn(call, call.parts.gate.open)


def close_gate(call: Call) -> state_documents.Gate:
    """Close the gate of an instance."""
    return _turn(call, call.parts.gate.close)


def backfills(call: Call) -> list[job_documents.Backfill]:
    """Return every backfill; one that somebody damaged in Redis is left out."""
    return [job_documents.Backfill.of(asdict(one)) for one in call.parts.backfills.all(on_unreadable=log_it)]


def pause_backfill(call: Call) -> job_documents.Backfill:
    """Hand over no more rows of a backfill for now."""
    return _steer(call, call.parts.backfills.pause)


def resume_backfill(call: Call) -> job_documents.Backfill:
    """Hand over rows of a paused backfill again."""
    return _steer(call, call.parts.backfills.resume)


def cancel_backfill(call: Call) -> job_documents.Backfill:
    """Hand over no more rows of a backfill for good."""
    return _steer(call, call.parts.backfills.cancel)


def audit(call: Call) -> list[documents.AuditEntry]:
    """Return entries of the audit log, newest first: of one target, and before an entry."""
    before = call.number("before", 0, at_most=LARGEST) or None
    limit = max(1, call.number("limit", ENTRIES, at_most=ENTRIES_AT_MOST))
    entries = call.parts.audit.entries(before=before, limit=limit, target=call.query.get("target") or None)
    return [documents.AuditEntry.of(asdict(entry), hash=entry.hash) for entry in entries]


def verify_audit(call: Call) -> documents.AuditVerification:
    """Check that none of the newest 20,000 entries of the audit log was changed, added or removed."""
    found = call.parts.audit.verify(last=VERIFIED_AT_MOST)
    return documents.AuditVerification(
        is_intact=found.broken_at is None,
        count=found.count,
        number=found.head.number,
        hash=found.head.hash,
        broken_entry=found.broken_at,
        reason=found.reason or None,
    )


def export_audit(call: Call) -> Iterator[bytes]:
    """Return every entry exactly as it is stored, one a line; that, too, is an entry."""
    call.parts.audit.append(Deed(call.by, "audit.export", "audit"))
    return map(json_line, call.parts.audit.export())


def _instance(call: Call) -> str:
    name, parts = call.path["instance"], call.parts
    if not parts.client.sismember("nightly:instances", name) and name not in parts.settings.instances():
        raise NightlyError("There is no such instance. Nothing was done.")
    return name


def _turn(call: Call, change: Callable[..., None]) -> state_documents.Gate:
    change(_instance(call), by=call.by, reason=call.body.reason, version=call.body.version)
    return gate(call)


def _steer(call: Call, change: Callable[..., None]) -> job_documents.Backfill:
    change(call.path["id"], by=call.by)
    return job_documents.Backfill.of(asdict(call.parts.backfills.get(call.path["id"])))
