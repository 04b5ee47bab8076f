"""The JSON of the commands and of the API about events, logins, dead letters and the audit log."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal

from pydantic import Field

from worker.ledger.dead_letters import Letter as StoredLetter
from worker.ledger.group_views import GroupView
from worker.ledger.history import by_kind
from worker.operations.json_form import Document, MicroTime, Time, Wish


class Published(Document):
    """One event of `nightly publish`, and what became of it."""

    event_id: str | None
    login: str | None = None
    """The reference, if LOGIN_KEYS are at hand to derive it."""
    line: int | None = None
    """The line of the file."""
    result: Literal[
        "published", "refused", "applied", "superseded", "duplicate", "waiting", "dead_lettered", "rejected"
    ]
    reason: str | None = None
    dead_letter_id: str | None = None


class Attempt(Document):
    """One call to Flinks."""

    claimed_at: Time | None = Field(None, validation_alias="at")
    revision: int | None = None
    wish: Wish | None = None
    call_seconds: float | None = Field(None, validation_alias="seconds")
    outcome: str | None = None
    code: str | None = None
    flinks_code: str | None = None
    http_status: int | None = None
    message: str | None = None
    worker: str | None = None


class Event(Document):
    """One event that came while its login had failures or an open dead letter."""

    recorded_at: Time | None = Field(None, validation_alias="at")
    event_id: str | None = None
    wish: Wish | None = None
    occurred_at: MicroTime | None = Field(None, validation_alias="occurred_us")
    lane: str | None = None
    result: str | None = None


class Action(Document):
    """What a person did about a dead letter; `entry` is its number in the audit log."""

    acted_at: Time | None = Field(None, validation_alias="at")
    by: str | None = None
    action: str | None = None
    letter: str | None = None
    entry: int | None = None
    text: str | None = None


class Login(Document):
    """One login as the ledger has it; `login` is its reference."""

    login: str
    instance: str
    account_id: str | None
    wish: Wish
    occurred_at: MicroTime = Field(validation_alias="occurred_us")
    event_id: str
    revision: int
    state: Literal["waiting", "in_flight", "applied", "dead_lettered"]
    lane: Literal["live", "backfill"]
    waiting_reason: str | None = None
    failures: int
    due_at: Time | None
    lease_ends_at: Time | None = Field(validation_alias="lease_until")
    rest_ends_at: Time | None = Field(validation_alias="rests_until")
    last_code: str | None
    confirmed_wish: Wish | None
    confirmed_revision: int | None
    confirmed_at: Time | None
    dead_letter_id: str | None = Field(validation_alias="dead_letter")
    attempts: list[Attempt]
    events: list[Event]
    actions: list[Action]


class Letter(Document):
    """One dead letter: of a login, or of a message that was rejected."""

    id: str
    kind: Literal["login", "message"]
    status: Literal["open", "replayed", "resolved", "superseded", "corrected"]
    code: str
    created_at: Time
    login: str | None = None
    instance: str | None = None
    account_id: str | None = None
    wish: Wish | None = None
    event_id: str | None = None
    occurred_at: MicroTime | None = Field(None, validation_alias="occurred_us")
    revision: int | None = None
    lane: str | None = None
    http_status: int | None = None
    message: str | None = None
    reason: str | None = None
    source: str | None = None
    """The way in of a rejected message: stream, celery or queue."""
    event_source: str | None = None
    """The producer, as a CloudEvent names it."""
    backfill: str | None = None
    """The backfill whose row made the wish; null: a live event."""
    failures: int = 0
    first_at: Time | None = None
    last_at: Time | None = None
    seen: int = 1
    body_bytes: int = 0
    suspect: str | None = None
    closed_at: Time | None = None
    closed_by: str | None = None
    note: str | None = None
    owner: str | None = None
    snooze_ends_at: Time | None = Field(None, validation_alias="snoozed_until")
    version: int = 0
    superseded_by: str | None = None
    corrected_to: str | None = None
    attempts: list[Attempt] | None = None
    """This and the next two only in `show` and `export`."""
    events: list[Event] | None = None
    actions: list[Action] | None = None


def letter_document(letter: StoredLetter, history: Sequence[Mapping[str, Any]] | None = None) -> Letter:
    """Return a letter, with the lines of its login's history if they are given; what it does not have is null."""
    lines = {} if history is None else by_kind(history)
    return Letter.of({name: value for name, value in asdict(letter).items() if value}, **lines)


class Group(Document):
    """Open dead letters that share instance, code and wish."""

    instance: str | None
    code: str
    wish: Wish | None
    count: int
    new_letters: int
    """Of the last 24 hours."""
    oldest_at: Time
    newest_at: Time
    owner: str | None
    state: Literal["open", "acknowledged", "muted"]
    mute_ends_at: Time | None = Field(validation_alias="muted_until")
    changed_by: str | None
    changed_at: Time | None
    problem: str | None = None
    """What is wrong with its owner and state, if somebody damaged them in Redis."""


def group_document(group: GroupView) -> Group:
    """Return a group."""
    return Group.of(asdict(group), new_letters=group.new_letters)


class Decision(Document):
    """The result of an action on one dead letter."""

    letter_id: str
    outcome: Literal[
        "chosen",
        "replayed",
        "resolved",
        "corrected",
        "superseded",
        "changed",
        "already_closed",
        "still_invalid",
        "waiting",
        "cancelled",
        "failed",
    ]
    detail: str | None = None


class AuditEntry(Document):
    """One entry of the audit log: what a person did."""

    number: int = Field(validation_alias="n")
    made_at: Time = Field(validation_alias="at")
    by: str | None
    role: str
    via: str
    address: str | None
    action: str
    target: str | None
    why: str | None
    detail: dict[str, Any]
    before: str | None
    """The hash of the entry before it."""
    hash: str


class AuditVerification(Document):
    """Result of `audit-log verify`."""

    is_intact: bool
    count: int
    """Of the entries that were checked."""
    number: int
    """Of the last entry that was checked, and the next is its hash."""
    hash: str | None
    broken_entry: int | None
    reason: str | None
