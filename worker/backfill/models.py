"""The values of a backfill: its rows, its state, and the outcome of each row."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Status(StrEnum):
    """The status of a backfill. Rows handed over before a cancel are still called: see `ended_at`."""

    LOADING = "loading"
    RUNNING = "running"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    FINISHED = "finished"


class Asks(StrEnum):
    """What a backfill wishes for its logins; `as-is` asserts the wish that the ledger has for each login again."""

    ON = "on"
    OFF = "off"
    AS_IS = "as-is"


class RowOutcome(StrEnum):
    """The outcome of one row."""

    APPLIED = "applied"
    """Flinks confirmed the wish."""
    ALREADY = "already"
    """The login was already as wished and confirmed: no call."""
    SUPERSEDED = "superseded"
    """The ledger had a newer wish, or one came before the call was confirmed."""
    DUPLICATE = "duplicate"
    """The same login came earlier in this backfill."""
    INVALID = "invalid"
    """The row could not be read, and its chunk says why; or an `as-is` row's login is not in the ledger."""
    DEAD = "dead"
    """The row's wish became a dead letter, or an `as-is` row's login was one; the code says why."""
    CANCELLED = "cancelled"
    """The row had not been handed over when the backfill was cancelled."""
    WAITING = "waiting"
    """The row has not been handed over, or its call has not ended."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row as it was read. `problem` says why it is invalid, without the loginId; `raw` is its line, truncated."""

    line: int
    login_id: str = field(repr=False)
    account_id: str | None = None
    wants_active: bool | None = None
    problem: str = ""
    raw: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class RowResult:
    """The outcome of one row.

    `code` is that of a dead letter or of an unusual success; `at_ms` is the time of the outcome, to the second.
    """

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
    """Whether logins that are already as wished are called again."""
    name: str = "-"
    by: str = ""
    rows: int = 0
    chunks: int = 0
    fed: int = 0
    """Rows handed over; also the number of the next row to hand over."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Number of rows for every RowOutcome; their sum is `rows`."""
    rate: float | None = None
    """Maximum rows handed over a second; None: as fast as the lane drains."""
    quiet: str = ""
    timezone: str = ""
    created_at: int = 0
    loaded_at: int | None = None
    ended_at: int | None = None
    """When its last row ended; for a cancelled backfill, the last row that had been handed over."""
    digest: str = ""
    first_digest: str = ""
    digest_so_far: str = ""
