"""The values that go into the ledger and come out of it. Does no I/O.

Nobody changes one. Those that are made for each call are not frozen all the same: it takes three times as long to make
a frozen one.
"""

from dataclasses import dataclass, field
from enum import StrEnum


class Lane(StrEnum):
    """Which queue a waiting login stands in: live events first, backfills in the gaps."""

    LIVE = "live"
    BACKFILL = "backfill"


class Recorded(StrEnum):
    """What recording one event did."""

    RECORDED = "recorded"
    DUPLICATE = "duplicate"
    SUPERSEDED = "superseded"
    AHEAD = "ahead"
    """Dated too far in the future to be believed: nothing was stored."""


class Settled(StrEnum):
    """What settling one call did."""

    APPLIED = "applied"
    OVERTAKEN = "overtaken"
    WAITING = "waiting"
    UNSENT = "unsent"
    FENCED = "fenced"
    PARKED = "parked"
    HALTED = "halted"
    """Not charged: it waits until the gate opens."""
    REPEATED = "repeated"


@dataclass(frozen=True, slots=True)
class Wish:
    """One event in the form the ledger keeps: nothing in it is a secret but `sealed`, which is sealed."""

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
    """A login handed to one worker until its lease runs out. `number` is the fence of its settlement."""

    reference: str
    number: int
    revision: int
    wants_active: bool
    sealed: bytes = field(repr=False)
    failures: int
    first_failure_ms: int | None
    account_id: str | None
    has_history: bool = True
    """Whether attempts of it are remembered: only then is a success remembered too."""


@dataclass(frozen=True, slots=True)
class ClaimReply:
    """Claimed logins, or why there are none and when to ask again (None: nothing is due at all)."""

    state: str
    wait_seconds: float | None
    now_ms: int
    claims: list[Claim]


@dataclass(slots=True)
class Settlement:
    """How the call of one claim ended."""

    claim: Claim
    outcome: str
    """An Outcome, or `unsent`: the call was never made."""
    delay_seconds: float = 0
    rest_seconds: float = 0
    """How long a call that may still land keeps its login from being called again."""
    code: str = ""
    http_status: int | None = None
    message: str = ""
    attempt: str = ""
    """For the login's history (`attempts.attempt_text`), or empty."""
    retry_after_seconds: float = 0
    flags: str = ""
    """`u` unconfirmed, `h` host or TLS unreachable, `d` Flinks is down, `a` ambiguous."""

    @property
    def is_plain(self) -> bool:
        """Whether it is a success of which there is nothing more to say, as nearly all are."""
        return self.code == "applied" == self.outcome and not (self.flags or self.attempt or self.rest_seconds)


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that a person should hear of: a gate that was shut or opened, or the first letter of its kind."""

    text: str
    """As the ledger keeps it, until `Ledger.forget_notice`."""

    @property
    def kind(self) -> str:
        """`gate`, `group`, `excluded`, `unkept`, `key` or `seals`."""
        return self.text.partition("|")[0]

    @property
    def parts(self) -> list[str]:
        """Its parts, by kind.

        gate: instance, and the change as JSON. group: instance, code and wish (`on`, `off`). excluded: instance, the
        worker whose calls alone fail, and how many failed. unkept: number of rejected messages that were only counted
        so far. key: id of a key that no live worker holds, and since when (ms). seals: id of a key, and the number of
        values sealed under it.
        """
        return self.text.split("|", 2 if self.kind == "gate" else 3)[1:]


@dataclass(frozen=True, slots=True)
class Pulse:
    """What one pulse found: logins due, leases taken back, whether to send messages, what to tell."""

    due: int
    leases_lost: int
    should_wake: bool
    notices: tuple[Notice, ...] = ()
    should_feed: bool = False
    """Whether to send a message that has rows of backfills handed over."""
