"""The JSON that only the API returns; the rest is in worker/operations/documents.py and state_documents.py."""

from typing import Literal

from pydantic import Field

from worker.operations.documents import Letter, Login
from worker.operations.job_documents import BulkJob, BulkRow, Preflight
from worker.operations.json_form import Document, MicroTime, Time, Wish


class FieldReason(Document):
    """Why one field of a rejected message is invalid."""

    field: str
    rule: str


class Preview(Document):
    """What a replay of a letter would do now."""

    version: int
    """Send it with the action, so that the action is refused if the letter changes meanwhile."""
    would: str
    sentence: str
    wish: Wish | None
    event_id: str | None
    occurred_at: MicroTime | None = Field(None, validation_alias="occurred_us")
    is_already_as_wished: bool
    wait_ends_at: Time | None = Field(None, validation_alias="waits_until")
    reasons: list[FieldReason]


class TimelineItem(Document):
    """One thing that happened to a login or a letter."""

    happened_at: Time = Field(validation_alias="at_ms")
    kind: Literal["event", "attempt", "letter", "action", "confirmed"]
    title: str
    facts: dict[str, str]


class LetterAnswer(Document):
    """One letter, what a replay would do now, and what happened, newest first."""

    letter: Letter
    preview: Preview
    timeline: list[TimelineItem]


class LetterList(Document):
    """One page of letters, newest first."""

    letters: list[Letter]
    next: str | None
    """Send it as `after` to go on; null: no letter is left."""
    is_complete: bool
    """False: the search stopped before the page was full, and `next` goes on searching."""
    unreadable: list[str]
    """What is wrong with each letter of this page that somebody damaged in Redis."""


class MessageBody(Document):
    """The body of a rejected message, with a placeholder for each value that may be a loginId."""

    text: str
    is_editable: bool


class Done(Document):
    """The result of an action on a letter."""

    letter_id: str
    outcome: Literal["replayed", "resolved", "corrected", "superseded", "changed", "still_invalid"]
    corrected_to: str | None
    reasons: list[FieldReason]


class Revealed(Document):
    """The loginId of a letter."""

    login_id: str


class LoginAnswer(Document):
    """One login, and what happened to it, newest first."""

    login: Login
    timeline: list[TimelineItem]


class FoundItem(Document):
    """What was found, and by which of its ids: a login, a letter or a job."""

    by: str
    login: str | None = None
    letter: str | None = None
    job: str | None = None


class SearchAnswer(Document):
    """What a search found."""

    found: list[FoundItem]
    unreadable: list[str]
    """What is wrong with each match that somebody damaged in Redis."""
    next: str | None
    """Null: the whole ledger was searched; else send it as `after` to go on."""


class JobAnswer(Document):
    """One bulk job, and until it is started what it would do."""

    job: BulkJob
    preflight: Preflight | None


class RowList(Document):
    """Letters of a bulk job with their results."""

    rows: list[BulkRow]
    total: int
    next: int | None
    """Send it as `start` to go on; null: these were the last."""


class Nothing(Document):
    """The action was done."""

    is_done: Literal[True] = True


class Problem(Document):
    """Why a request was refused (RFC 9457). `detail` says what was not done."""

    type: str
    title: str
    status: int
    detail: str
