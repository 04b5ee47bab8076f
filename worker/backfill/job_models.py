"""The values of a bulk job: its verb, its state, what it would do, and the outcome of each of its letters."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

CONFIRM_ABOVE = 100
"""Letters. Whoever starts a larger job types their number."""
COUNT_ABOVE = 500
"""Letters. The preflight of a larger job is counted when it is prepared, and again only when a person asks for it."""


class Verb(StrEnum):
    """What a job does to each of its letters."""

    REPLAY = "replay"
    RESOLVE = "resolve"
    NOTHING_LEFT = "nothing_left"
    """Resolve a deactivation of a login that Flinks no longer has: INVALID_LOGIN, wish off."""
    ASSIGN = "assign"
    SNOOZE = "snooze"


class JobStatus(StrEnum):
    """The status of a job."""

    PREPARED = "prepared"
    """Its list is frozen. It waits for its start, and expires after a day without one."""
    RUNNING = "running"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    """Letters decided before are not changed, and calls for them are still made: see `ended_at`."""
    FINISHED = "finished"


class LetterOutcome(StrEnum):
    """The outcome of one letter of a job."""

    APPLIED = "applied"
    """Replayed, and Flinks confirmed the login's newest wish."""
    DEAD = "dead"
    """Replayed, and the call failed again: the login has a new dead letter, and the code says why."""
    ACCEPTED = "accepted"
    """A rejected message was accepted again."""
    INVALID = "invalid"
    """A rejected message is still not acceptable; its letter stays open."""
    FAILED = "failed"
    """The letter could not be decided, and stays open; the code says why."""
    RESOLVED = "resolved"
    ASSIGNED = "assigned"
    SNOOZED = "snoozed"
    SUPERSEDED = "superseded"
    """A newer event came, before the letter was decided or before its call was confirmed."""
    CLOSED = "closed"
    """Somebody closed the letter before the job came to it."""
    NOT_APPLICABLE = "not_applicable"
    """The verb is not for such a letter, which stays open."""
    CANCELLED = "cancelled"
    """The job was cancelled before it came to the letter."""
    WAITING = "waiting"
    """The job has not come to the letter, or its call has not ended."""


@dataclass(frozen=True, slots=True)
class JobTerms:
    """What a job is prepared with; the fields are those of `Job`."""

    verb: Verb
    by: str
    selection: str
    note: str = ""
    owner: str = ""
    until_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """The rows of one instance, or of rejected messages (no instance). `at` is the next row to decide."""

    number: int
    first: int
    last: int
    """The row after the last one."""
    instance: str
    at: int


@dataclass(frozen=True, slots=True)
class Job:
    """One bulk job. Times are milliseconds since 1970, by Redis' clock."""

    id: str
    verb: Verb
    status: JobStatus
    by: str
    """Who prepared it."""
    selection: str
    """What was selected, in words."""
    total: int
    """Letters in its list."""
    decided: int
    """Letters that it has come to; a replayed letter then waits for its call."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Number of letters for every LetterOutcome; their sum is `total`."""
    note: str = ""
    owner: str = ""
    until_ms: int | None = None
    """With the verb `snooze`."""
    rate: float | None = None
    """Maximum letters decided a second; None: as fast as the lane takes them."""
    chunks: int = 0
    groups: tuple[str, ...] = ()
    """`instance|code|wish` of its letters."""
    segments: tuple[Segment, ...] = ()
    prepared_at: int = 0
    foreseen: Mapping[str, int] = field(default_factory=dict)
    """What it would do to its letters, as counted at `counted_at`: the counts of bulk_preflight.lua."""
    counted_at: int = 0
    starter: str = ""
    """Who started it; empty before its start."""
    started_at: int | None = None
    ended_at: int | None = None
    """When its last letter, or the last one decided before a cancel, ended."""

    @property
    def ended(self) -> int:
        """Letters with a final outcome."""
        return self.total - self.counts[LetterOutcome.WAITING]

    @property
    def open_instances(self) -> list[str]:
        """Instances whose calls the job needs and that it has letters left for."""
        is_replay = self.verb is Verb.REPLAY
        return [one.instance for one in self.segments if one.at < one.last and one.instance and is_replay]


@dataclass(frozen=True, slots=True)
class LetterResult:
    """The outcome of one letter of a job. `at_ms` is the time of the outcome, to the second."""

    letter: str
    outcome: LetterOutcome
    code: str = ""
    """That of a new dead letter, of an unusual success, or the reason of a failure."""
    at_ms: int | None = None
    login: str = ""
    """This and the rest: of the letter, empty if it is no longer kept."""
    instance: str = ""
    letter_code: str = ""
    wish: str = ""
    closed_by: str = ""
    """With the outcome `closed`: who closed it."""


@dataclass(frozen=True, slots=True)
class Preflight:
    """What a job would do: each letter of its list is in exactly one of the counts."""

    job_id: str
    verb: Verb
    total: int
    counted_at: int = 0
    """When the letters were counted. Gates and rates are those of now."""
    called: int = 0
    """Logins that will be called with their newest wish."""
    already_as_wished: int = 0
    """Called all the same, though the last confirmed call had the same wish."""
    in_flight: int = 0
    """Not called by the job: a newer event came, and its call is being made right now."""
    superseded: int = 0
    """Not called by the job: a newer event came."""
    accepted_again: int = 0
    """Rejected messages that are given to intake again; those that are still wrong stay open."""
    closed: int = 0
    """Closed since the list was made, so they are left as they are."""
    changed: int = 0
    """Resolved, assigned or snoozed, without a call."""
    not_applicable: int = 0
    seconds: float = 0.0
    """How long the calls take at `calls_per_second`, once the gates are open."""
    calls_per_second: float | None = None
    """The present rate of the instance that takes longest; None without a call."""
    closed_gates: tuple[str, ...] = ()
    """Instances whose gate is closed: their letters wait until it opens."""
    must_type: int = 0
    """The number to type to start the job; 0: none, as it is not above CONFIRM_ABOVE."""

    @property
    def calls(self) -> int:
        """Calls that the job will make."""
        return self.called + self.already_as_wished
