"""A model of backfill rows, independent of the Lua scripts: one rule for each event.

A row that is fed waits until its login's wish is confirmed, dead-lettered, or replaced by a newer one.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from worker.backfill.job_models import Job, LetterOutcome
from worker.backfill.models import Asks, Backfill, RowOutcome

Ending = tuple[RowOutcome, str]
WAITS: Ending = (RowOutcome.WAITING, "")


@dataclass
class Filled:
    """One backfill: its terms, the login of each row (None: the row is invalid), and the outcome of each row."""

    backfill: Backfill
    logins: list[str | None]
    fed: int = 0
    is_ended: bool = False
    endings: list[Ending] = field(default_factory=list)
    checked: object = None
    """What the last check compared: most steps change nothing of a backfill."""

    def __post_init__(self) -> None:
        self.endings = [WAITS for _ in self.logins]

    @property
    def is_as_is(self) -> bool:
        return self.backfill.wish is Asks.AS_IS

    def name(self, row: int) -> str:
        return f"{self.backfill.id}:{row}"


@dataclass
class Listed:
    """One bulk job: the id of each letter, and its outcome."""

    job: Job
    letters: list[str]
    is_ended: bool = False
    endings: list[tuple[LetterOutcome, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.endings = [(LetterOutcome.WAITING, "") for _ in self.letters]


@dataclass
class Rows:
    """Every backfill of a schedule, and the row that each login's wish belongs to."""

    seen: Counter[str]
    filled: list[Filled] = field(default_factory=list)
    row_of: dict[str, tuple[Filled, int]] = field(default_factory=dict)
    job_row_of: dict[str, tuple[Listed, int]] = field(default_factory=dict)
    """The row of a bulk job that waits for the call of a login."""

    def end(self, login: str, outcome: RowOutcome, code: str = "") -> None:
        """End the rows that a login's wish belongs to, if they wait."""
        if login in self.job_row_of:
            listed, row = self.job_row_of.pop(login)
            listed.endings[row] = (LetterOutcome(outcome.value), code)
            self.seen[f"letter {outcome}"] += 1
        if login in self.row_of:
            filled, row = self.row_of[login]
            if filled.endings[row] == WAITS:
                filled.endings[row] = (outcome, code)
                self.seen[f"row {outcome}"] += 1
            if outcome is RowOutcome.APPLIED:
                del self.row_of[login]

    def replace(self, login: str) -> None:
        """Note a newer wish for a login."""
        self.end(login, RowOutcome.SUPERSEDED)
        self.row_of.pop(login, None)

    def replay(self, login: str) -> None:
        """Note that a dead letter was replayed: its row waits again."""
        if login in self.row_of:
            filled, row = self.row_of[login]
            filled.endings[row] = WAITS
            self.seen["row waits again"] += 1

    def waiting_logins(self) -> Iterator[str]:
        """Yield the logins for which a row waits."""
        yield from self.job_row_of
        for login, (filled, row) in self.row_of.items():
            if filled.endings[row] == WAITS:
                yield login
