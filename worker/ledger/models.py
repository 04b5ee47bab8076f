"""The values that go into the ledger and come out of it.

All are constant. Those made for each event or call are not declared frozen only because creating them would take three
times as long.
"""

from dataclasses import dataclass, field
from enum import StrEnum


class Lane(StrEnum):
    """The queue of a waiting login: live events come first, backfills use what is left."""

    LIVE = "live"
    BACKFILL = "backfill"


class Recorded(StrEnum):
    """Result of recording one event."""

    RECORDED = "recorded"
    DUPLICATE = "duplicate"
    SUPERSEDED = "superseded"
    AHEAD = "ahead"
    """Dated too far in the future: nothing was stored."""


class Settled(StrEnum):
    """Result of settling one call."""

    APPLIED = "applied"
    OVERTAKEN = "overtaken"
    WAITING = "waiting"
    UNSENT = "unsent"
    FENCED = "fenced"
    DEAD_LETTERED = "dead_lettered"
    HALTED = "halted"
    """Not charged: it waits until the gate opens."""
    REPEATED = "repeated"


@dataclass(slots=True)
class Wish:
    """One event as the ledger keeps it. Its only secret, the loginId, is sealed."""

    reference: str
    instance: str
    sealed: bytes = field(repr=False)
    occurred_us: int
    wants_active: bool
    event_id: str
    account_id: str | None = None
    lane: Lane = Lane.LIVE


@dataclass(slots=True)
class Claim:
    """A login given to one worker until its lease ends. A settlement with another `number` is fenced."""

    reference: str
    number: int
    revision: int
    wants_active: bool
    sealed: bytes = field(repr=False)
    failures: int
    first_failure_ms: int | None
    account_id: str | None
    event_id: str = ""
    """The event whose wish the call asserts."""
    has_history: bool = True
    """Whether attempts of it are stored: only then a success is stored, too."""


@dataclass(frozen=True, slots=True)
class ClaimReply:
    """Claimed logins, or the reason for none and when to ask again (None: nothing is due)."""

    state: str
    wait_seconds: float | None
    now_ms: int
    claims: list[Claim]


@dataclass(slots=True)
class Settlement:
    """How the call of one claim ended."""

    claim: Claim
    outcome: str
    """An `Outcome` (worker/flinks/outcome.py), or `unsent`: the call was never made."""
    delay_seconds: float = 0
    rest_seconds: float = 0
    """How long the login is not called again, because this call may still land."""
    code: str = ""
    http_status: int | None = None
    message: str = ""
    attempt: str = ""
    """The attempt to store (`history.attempt_text`), or empty."""
    retry_after_seconds: float = 0
    seconds: float = 0
    """Duration of the call, for the log."""
    flags: str = ""
    """`u` unconfirmed, `h` host or TLS unreachable, `d` Flinks is down, `a` ambiguous."""

    @property
    def is_plain(self) -> bool:
        """Whether it is a plain success, as nearly all are: the script then needs no other argument."""
        return self.code == "applied" == self.outcome and not (self.flags or self.attempt or self.rest_seconds)


@dataclass(frozen=True, slots=True)
class Notice:
    """News for a person, such as a gate that shut or opened, or the first dead letter of its group."""

    text: str
    """As the ledger keeps it, until `Ledger.forget_notice`."""

    @property
    def kind(self) -> str:
        """`gate`, `group`, `excluded`, `unkept`, `key`, `seals`, `overwritten`, `damaged` or `audit`."""
        return self.text.partition("|")[0]

    @property
    def parts(self) -> list[str]:
        """Its parts, by kind.

        gate: instance, and the change as JSON. group: instance, code and wish (`on`, `off`). excluded: instance, the
        worker whose calls alone fail, and how many failed. unkept: number of rejected messages that were only counted
        so far. key: id of a key that no live worker holds, and since when (ms). seals: id of a key, and the number of
        values sealed under it. overwritten: a key, in pieces if it has a `|`. damaged: the key of a login. audit: the
        head of the audit log.
        """
        return self.text.split("|", 2 if self.kind == "gate" else 3)[1:]


@dataclass(frozen=True, slots=True)
class Pulse:
    """Result of one pulse: logins due, leases taken back, whether to send messages, notices to pass on."""

    due: int
    leases_lost: int
    should_wake: bool
    notices: tuple[Notice, ...] = ()
    should_feed: bool = False
    """Whether to send a message that feeds backfills."""
