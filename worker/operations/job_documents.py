"""The JSON of the commands and of the API about backfills and bulk jobs, and their rows."""

from typing import Literal

from pydantic import Field

from worker.operations.json_form import Document, MicroTime, Time, Wish


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


class Preflight(Document):
    """What a bulk job would do: each of its letters is in one of the counts."""

    total: int
    counted_at: Time
    """When the letters were counted. Gates and rates are those of now."""
    called: int
    already_as_wished: int
    in_flight: int
    superseded: int
    accepted_again: int
    closed: int
    changed: int
    not_applicable: int
    seconds: float
    """How long the calls take at `calls_per_second`."""
    calls_per_second: float | None
    closed_gates: tuple[str, ...]
    must_type: int
    """The number to send as `typed` to start the job; 0: none."""


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
