"""The values of a backfill: its rows, its state, and the outcome of each row."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Status(StrEnum):
    """The status of a backfill. After a cancel, rows that were handed over are still called: see `ended_at`."""

    LOADING = "loading"
    RUNNING = "running"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    FINISHED = "finished"


class Asks(StrEnum):
    """What a backfill wishes for its logins; `as-is`: what the ledger wishes for each already, once more."""

    ON = "on"
    OFF = "off"
    AS_IS = "as-is"


class RowOutcome(StrEnum):
    """What became of one row."""

    APPLIED = "applied"
    """Flinks confirmed it."""
    ALREADY = "already"
    """It was as wished and confirmed before: no call."""
    SUPERSEDED = "superseded"
    """A newer wish was there, or came before the call was confirmed."""
    DUPLICATE = "duplicate"
    """The same login stood in this backfill before."""
    INVALID = "invalid"
    """It could not be read; its chunk says why."""
    DEAD = "dead"
    """It became a dead letter, with a code."""
    CANCELLED = "cancelled"
    """It was not handed over when the backfill was cancelled."""
    WAITING = "waiting"
    """Not handed over yet, or its call has not ended."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row as it was read. `problem` says why it is invalid, never with its loginId; `raw` is its line, cut."""

    line: int
    login_id: str = field(repr=False)
    account_id: str | None = None
    wants_active: bool | None = None
    problem: str = ""
    raw: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class RowResult:
    """What became of one row. `code`: of a dead letter, or of an unusual success; `at_ms`: when, to the second."""

    outcome: RowOutcome
    code: str = ""
    at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Backfill:
    """One backfill. Times are milliseconds since 1970, by Redis' clock; `as_of_us` is microseconds."""

    id: str
    instance: str
    wish: Asks
    status: Status
    as_of_us: int
    reassert: bool = False
    """Whether logins that are as wished already are called again."""
    name: str = "-"
    by: str = ""
    rows: int = 0
    chunks: int = 0
    fed: int = 0
    """The next row to hand over."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Rows by what became of them: every RowOutcome has its number, and together they are `rows`."""
    rate: float | None = None
    """Rows handed over a second, at most; None: as fast as they drain."""
    quiet: str = ""
    timezone: str = ""
    created_at: int = 0
    loaded_at: int | None = None
    ended_at: int | None = None
    """When its last row ended; of a cancelled one, the last that had been handed over."""
    digest: str = ""
    first_digest: str = ""
    digest_so_far: str = ""
