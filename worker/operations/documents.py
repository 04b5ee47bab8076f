"""The JSON of the commands and of the API about events, logins, dead letters and backfills."""

from typing import Any, Literal

from pydantic import Field

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


class Backfill(Document):
    """One backfill."""

    id: str
    instance: str
    wish: Literal["on", "off", "as-is"]
    status: Literal["loading", "running", "paused", "cancelled", "finished"]
    as_of_at: MicroTime = Field(validation_alias="as_of_us")
    reassert: bool
    name: str
    by: str | None
    rows: int
    fed: int
    counts: dict[str, int]
    """Rows by their outcome."""
    rate_limit_per_second: float | None = Field(validation_alias="rate")
    rate_per_second: float | None = None
    """Rows that end, as measured by `--follow`."""
    quiet_hours: str | None = Field(validation_alias="quiet")
    timezone: str | None
    created_at: Time
    loaded_at: Time | None
    ended_at: Time | None
    standstill: str | None = None
    """Why it makes no progress."""


class BulkJob(Document):
    """One bulk job: an action on many dead letters."""

    id: str
    verb: Literal["replay", "resolve", "nothing_left", "assign", "snooze"]
    status: Literal["prepared", "running", "paused", "cancelled", "finished"]
    by: str
    """Who prepared it."""
    selection: str
    total: int
    """Letters in its list."""
    decided: int
    """Letters that it has come to; a replayed letter then waits for its call."""
    ended: int
    counts: dict[str, int]
    """Letters by their outcome."""
    note: str | None
    owner: str | None
    snoozed_until_at: Time | None = Field(validation_alias="until_ms")
    rate_limit_per_second: float | None = Field(validation_alias="rate")
    prepared_at: Time
    started_by: str | None = Field(validation_alias="starter")
    started_at: Time | None
    ended_at: Time | None
    standstill: str | None = None
    """Why it makes no progress."""


class BulkRow(Document):
    """One letter of a bulk job's report; `code` and `wish` are the letter's, `reason` is the code of the outcome."""

    number: int
    """From 1, in the order of the job's list."""
    letter: str
    login: str | None
    instance: str | None
    code: str | None
    wish: Wish | None
    outcome: str
    reason: str | None
    ended_at: Time | None
    closed_by: str | None


class Forecast(Document):
    """What a backfill would do: counts of rows, and how long their calls take."""

    rows: int
    calls: int
    already: int
    superseded: int
    duplicates: int
    invalid: int
    dead: int
    first_problem: str | None = None
    calls_per_second: float
    calls_seconds: float
    as_of_at: MicroTime = Field(validation_alias="as_of_us")


class ReportRow(Document):
    """One row of a backfill's report."""

    line: int
    reference: str | None
    account_id: str | None
    wish: Literal["on", "off", "as-is"]
    outcome: str
    code: str | None
    ended_at: Time | None
    login_id: str | None = None


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
