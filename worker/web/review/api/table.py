"""Every route of the API: method, path, the least role, handler, the models of body and result, and its query."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel

from worker.operations import documents, job_documents, state_documents
from worker.web.review.api import answers, bodies, bulk, groups, letters, operations
from worker.web.review.api.call import Call, Result

PREFIX = "/api/v1"
LETTER_QUERY = (*bodies.Filter.model_fields, "after", "size")


class ApiRow(NamedTuple):
    """One route."""

    method: str
    path: str
    role: str
    act: Callable[[Call], Result]
    answer: Any
    """The model of the result, `list[model]`, or `bytes` for lines of JSON."""
    body: type[BaseModel] | None = None
    query: Sequence[str] = ()


def _read(path: str, act: Callable[[Call], Result], answer: Any, *query: str, role: str = "viewer") -> ApiRow:
    return ApiRow("GET", path, role, act, answer, query=query)


def _act(
    path: str, act: Callable[[Call], Result], answer: Any, body: type[BaseModel], *, role: str = "operator"
) -> ApiRow:
    return ApiRow("POST", path, role, act, answer, body)


API_ROWS: Sequence[ApiRow] = (
    _read("/status", operations.status, state_documents.Status),
    _read("/groups", groups.show_all, list[documents.Group]),
    _act("/groups/acknowledge", groups.acknowledge, answers.Nothing, bodies.AcknowledgeGroup),
    _act("/groups/mute", groups.mute, answers.Nothing, bodies.MuteGroup),
    _act("/groups/reopen", groups.reopen, answers.Nothing, bodies.OfGroup),
    _act("/groups/assign", groups.assign, answers.Nothing, bodies.AssignGroup),
    _read("/letters", letters.show_all, answers.LetterList, *LETTER_QUERY),
    _read("/letters/{id}", letters.show, answers.LetterAnswer),
    _read("/letters/{id}/body", letters.body, answers.MessageBody),
    _act("/letters/{id}/replay", letters.replay, answers.Done, bodies.Noted),
    _act("/letters/{id}/resolve", letters.resolve, answers.Done, bodies.Resolve),
    _act("/letters/{id}/nothing-left", letters.nothing_left, answers.Done, bodies.Noted),
    _act("/letters/{id}/correct", letters.correct, answers.Done, bodies.Correct),
    _act("/letters/{id}/resubmit", letters.resubmit, answers.Done, bodies.Resubmit),
    _act("/letters/{id}/assign", letters.assign, answers.Done, bodies.Assign),
    _act("/letters/{id}/note", letters.note, answers.Done, bodies.Note),
    _act("/letters/{id}/snooze", letters.snooze, answers.Done, bodies.Snooze),
    _act("/letters/{id}/reveal", letters.reveal, answers.Revealed, bodies.Reveal, role="admin"),
    _read("/logins/{reference}", letters.show_login, answers.LoginAnswer),
    _act("/search", letters.search, answers.SearchAnswer, bodies.Search, role="viewer"),
    _read("/bulk", bulk.show_all, list[job_documents.BulkJob]),
    _act("/bulk", bulk.prepare, answers.JobAnswer, bodies.Prepare),
    _read("/bulk/{id}", bulk.show, answers.JobAnswer),
    _read("/bulk/{id}/results", bulk.results, answers.RowList, "start", "count"),
    _read("/bulk/{id}/report", bulk.report, bytes),
    _act("/bulk/{id}/count", bulk.count, answers.JobAnswer, bodies.Body),
    _act("/bulk/{id}/run", bulk.run, answers.JobAnswer, bodies.Run),
    _act("/bulk/{id}/pause", bulk.pause, answers.JobAnswer, bodies.Body),
    _act("/bulk/{id}/resume", bulk.resume, answers.JobAnswer, bodies.Body),
    _act("/bulk/{id}/cancel", bulk.cancel, answers.JobAnswer, bodies.Body),
    _read("/gates/{instance}", operations.gate, state_documents.Gate),
    _act("/gates/{instance}/open", operations.open_gate, state_documents.Gate, bodies.TurnGate),
    _act("/gates/{instance}/close", operations.close_gate, state_documents.Gate, bodies.TurnGate),
    _read("/backfills", operations.backfills, list[job_documents.Backfill]),
    _act("/backfills/{id}/pause", operations.pause_backfill, job_documents.Backfill, bodies.Body),
    _act("/backfills/{id}/resume", operations.resume_backfill, job_documents.Backfill, bodies.Body),
    _act("/backfills/{id}/cancel", operations.cancel_backfill, job_documents.Backfill, bodies.Body),
    _read("/audit", operations.audit, list[documents.AuditEntry], "target", "before", "limit", role="operator"),
    _read("/audit/verify", operations.verify_audit, documents.AuditVerification, role="operator"),
    _read("/audit/export", operations.export_audit, bytes, role="admin"),
)
