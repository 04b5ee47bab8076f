"""The JSON of the commands and of the API about the system: its state, its gates, the checks of `nightly doctor`."""

from typing import Literal

from pydantic import Field

from worker.operations.json_form import Document, Time


class GateChange(Document):
    """One change of a gate."""

    changed_at: Time = Field(validation_alias="at")
    state: str
    cause: str | None = None
    code: str | None = None
    http_status: int | None = None
    detail: str | None = None
    by: str | None = None
    held_ms: int | None = None


class Gate(Document):
    """The gate of one instance."""

    instance: str | None = None
    state: Literal["open", "closed", "half_open"]
    needs_action: bool
    """Whether it needs a person: it is closed, and no outage of less than 15 minutes is the cause."""
    changed_at: Time | None = None
    cause: str | None = None
    code: str | None = None
    http_status: int | None = None
    detail: str | None = None
    by: str | None = None
    held_at: Time | None = Field(None, validation_alias="held_since")
    """Since when calls are held."""
    held_ms: int | None = None
    probe_at: Time | None = None
    """When the next trial call of an outage is made."""
    probes: int | None = None
    changes: list[GateChange] | None = None
    """Oldest first; only for a named instance."""


class Check(Document):
    """One check of `nightly doctor`."""

    name: str
    level: Literal["ok", "unknown", "warn", "fail"]
    what: str
    advice: str | None


class Alarm(Document):
    """Something that needs a person now."""

    title: str
    reason: str
    advice: str


class Way(Document):
    """Messages that wait on one way in: the stream, the queue, or the review list."""

    events: int | None
    """Null: the broker cannot be reached; `problem` says why."""
    unacknowledged: int | None
    """Those of them that a worker has read."""
    oldest_seconds: float | None
    problem: str | None = None


class Instance(Document):
    """The work of one Flinks instance. `tally` counts events, results and calls since the ledger was opened."""

    gate: Gate
    due_live: int
    due_backfill: int
    waiting: int
    in_flight: int
    oldest_due_seconds: float
    paused_seconds: float
    rate_per_second: float | None
    rate_cut_to: float | None
    ceiling: float | None
    tally: dict[str, int]
    dead_letters_open: dict[str, int]


class Worker(Document):
    """One live worker."""

    name: str
    silent_seconds: float
    slots: int | None = None
    version: str | None = None
    keys: tuple[str, ...] = ()
    """Ids of its LOGIN_KEYS, newest first."""
    excluded: tuple[str, ...] = ()
    """Instances that it does not call for now, because its calls alone fail."""


class MissingKey(Document):
    """A key that logins need and no live worker has."""

    key_id: str
    missing_at: Time = Field(validation_alias="since")
    missing_seconds: float = Field(validation_alias="seconds")


class Queue(Document):
    """One queue of RabbitMQ."""

    waiting: int
    consumers: int


class Status(Document):
    """The state of the whole system."""

    read_at: Time
    needs_a_person: list[Alarm]
    ledger: Literal["sandbox", "production"] | None
    instances: dict[str, Instance]
    waiting_events: dict[str, Way]
    rejected: int
    rejected_unkept: int
    rejected_open: dict[str, int]
    dead_letters_open: int
    workers: list[Worker]
    missing_keys: list[MissingKey]
    reconcilers: int
    stream_last_id: str
    stream_ids_ahead_seconds: float
    stream_is_closed: bool
    stream_counts_entries: bool
    stream_vanished: int
    stream_vanished_at: Time | None
    rabbitmq: dict[str, Queue | None] | None = None
