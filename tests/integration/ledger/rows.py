"""What became of every row of every backfill, by a model that knows nothing of the Lua: one rule for each event.

A row that is handed over waits for its login's wish, until that is confirmed, given up, or replaced by a newer one.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from worker.backfill.models import Asks, Backfill, RowOutcome

Ending = tuple[RowOutcome, str]
WAITS: Ending = (RowOutcome.WAITING, "")


@dataclass
class Filled:
    """One backfill: its terms, the login of each row (None: the row is invalid), and what became of the rows."""

    backfill: Backfill
    logins: list[str | None]
    fed: int = 0
    is_ended: bool = False
    endings: list[Ending] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.endings = [WAITS for _ in self.logins]

    @property
    def is_as_is(self) -> bool:
        return self.backfill.wish is Asks.AS_IS

    def name(self, row: int) -> str:
        return f"{self.backfill.id}:{row}"


@dataclass
class Rows:
    """Every backfill of a schedule, and for which row each login's wish stands."""

    seen: Counter[str]
    filled: list[Filled] = field(default_factory=list)
    row_of: dict[str, tuple[Filled, int]] = field(default_factory=dict)

    def end(self, login: str, outcome: RowOutcome, code: str = "") -> None:
        """The row that a login's wish stands for ends, if it waits."""
        if login in self.row_of:
            filled, row = self.row_of[login]
            if filled.endings[row] == WAITS:
                filled.endings[row] = (outcome, code)
                self.seen[f"row {outcome}"] += 1
            if outcome is RowOutcome.APPLIED:
                del self.row_of[login]

    def replace(self, login: str) -> None:
        """A newer wish has come for a login."""
        self.end(login, RowOutcome.SUPERSEDED)
        self.row_of.pop(login, None)

    def replay(self, login: str) -> None:
        """A dead letter was replayed: the dead row waits again."""
        if login in self.row_of:
            filled, row = self.row_of[login]
            filled.endings[row] = WAITS
            self.seen["row waits again"] += 1

    def waiting_logins(self) -> Iterator[str]:
        """Yield the logins for which a row waits."""
        for login, (filled, row) in self.row_of.items():
            if filled.endings[row] == WAITS:
                yield login
