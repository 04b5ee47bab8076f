"""Counts what a backfill would do, by the rules of `backfill_feed.lua`, without writing to Redis.

On an idle system the counts are exact, except that Flinks' own refusals cannot be predicted. References already seen
are kept in a temporary file, so memory stays bounded.
"""

import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

from worker.backfill.models import Asks, Row, RowOutcome
from worker.ledger.login_fields import StoredLogin, read_values, stored_names
from worker.redis_client.connect import BytesRedis
from worker.vault.vault import Vault

BATCH = 500
CALL = "call"
"""The row needs a call, and ends as applied or as a dead letter."""
_READ = ("occurred_us", "wish", "event_id", "state")
_BACKFILL_PREFIX = b"bf-"


@dataclass(frozen=True, slots=True)
class Forecast:
    """Counts of rows by their predicted outcome."""

    rows: int
    calls: int
    already: int
    superseded: int
    duplicates: int
    invalid: int
    dead: int
    """Logins that are dead letters already and stay so; only if each login's own wish is asserted again."""
    first_problem: str = ""
    """Line number of the first invalid row, and its problem."""

    def hours(self, calls_per_second: float) -> float:
        """Return how many hours the calls take at this rate."""
        return self.calls / calls_per_second / 3600


class DryRun:
    """Predicts the outcomes of one backfill."""

    def __init__(
        self, client: BytesRedis, vault: Vault, *, instance: str, wish: Asks, as_of_us: int, reassert: bool
    ) -> None:
        self._redis = client
        self._vault = vault
        self._instance = instance
        self._wish = wish
        self._as_of_us = as_of_us
        self._reassert = reassert

    def foresee(
        self,
        rows: Iterable[Row],
        *,
        on_rows: Callable[[int], None] = lambda _: None,
        on_rejected: Callable[[Row, RowOutcome], None] = lambda *_: None,
    ) -> Forecast:
        """Count the outcomes of all rows.

        `on_rows` is called with the number of rows so far, `on_rejected` with each row that is not handed over, as it
        is invalid or a dead letter. Raises redis.RedisError, and whatever reading the rows raises.
        """
        counts: Counter[str] = Counter()
        first_problem = ""
        with _seen_before() as seen:
            for row, outcome in self._outcomes(rows, seen):
                counts[outcome] += 1
                if outcome in {RowOutcome.INVALID, RowOutcome.DEAD}:
                    on_rejected(row, RowOutcome(outcome))
                if row.line % BATCH == 0:
                    on_rows(counts.total())
                if row.problem and not first_problem:
                    first_problem = f"line {row.line}: {row.problem}"
        return Forecast(
            rows=counts.total(),
            calls=counts[CALL],
            already=counts[RowOutcome.ALREADY],
            superseded=counts[RowOutcome.SUPERSEDED],
            duplicates=counts[RowOutcome.DUPLICATE],
            invalid=counts[RowOutcome.INVALID],
            dead=counts[RowOutcome.DEAD],
            first_problem=first_problem,
        )

    def _outcomes(self, rows: Iterable[Row], seen: sqlite3.Connection) -> Iterator[tuple[Row, str]]:
        remaining = iter(rows)
        while batch := list(islice(remaining, BATCH)):
            valid = {row.line: self._vault.reference(self._instance, row.login_id) for row in batch if not row.problem}
            known = self._look_up(list(valid.values()))
            for row in batch:
                if row.problem:
                    yield row, RowOutcome.INVALID
                    continue
                reference = valid[row.line]
                yield row, self._outcome(reference, known[reference], seen)

    def _outcome(self, reference: str, login: StoredLogin, seen: sqlite3.Connection) -> str:
        if self._wish is Asks.AS_IS:
            return self._as_is(reference, login, seen)
        if "occurred_us" in login and not self._is_newer(login):
            return RowOutcome.SUPERSEDED  # the login keeps the other event, so a second row is superseded too
        if not _is_first(reference, seen):
            return RowOutcome.DUPLICATE
        is_as_wished = login.get("state") == b"done" and login.get("wish") == self._flag
        return RowOutcome.ALREADY if is_as_wished and not self._reassert else CALL

    @staticmethod
    def _as_is(reference: str, login: StoredLogin, seen: sqlite3.Connection) -> str:
        if "occurred_us" not in login:
            return RowOutcome.INVALID
        if not _is_first(reference, seen):
            return RowOutcome.DUPLICATE
        return RowOutcome.DEAD if login.get("state") == b"dead" else CALL

    @property
    def _flag(self) -> bytes:
        return b"1" if self._wish is Asks.ON else b"0"

    def _is_newer(self, login: StoredLogin) -> bool:
        """Return whether the backfill's wish is newer than the ledger's, by the order of wishes.lua."""
        ledger_us = int(login["occurred_us"])
        if self._as_of_us != ledger_us:
            return self._as_of_us > ledger_us
        if login.get("wish") != self._flag:
            return self._wish is Asks.OFF
        # Event ids decide, and this backfill's begin with bf-. Another backfill's id is random: ours is taken as newer.
        return login.get("event_id", b"")[: len(_BACKFILL_PREFIX)] <= _BACKFILL_PREFIX

    def _look_up(self, references: Sequence[str]) -> dict[str, StoredLogin]:
        with self._redis.pipeline(transaction=False) as pipeline:
            for reference in references:
                pipeline.hmget(f"nightly:login:{reference}", stored_names(_READ))
            found = [read_values(_READ, values) for values in pipeline.execute()]
        return dict(zip(references, found, strict=True))


@contextmanager
def _seen_before() -> Iterator[sqlite3.Connection]:
    """Open a temporary set of references on disk. A SIGKILL leaves the file behind; it has no loginIds."""
    with tempfile.NamedTemporaryFile(prefix="nightly-dry-run-") as file:
        connection = sqlite3.connect(file.name, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode = OFF")
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("PRAGMA cache_size = -32768")
            connection.execute("CREATE TABLE seen (reference TEXT PRIMARY KEY) WITHOUT ROWID")
            connection.execute("BEGIN")
            yield connection
        finally:
            connection.close()


def _is_first(reference: str, seen: sqlite3.Connection) -> bool:
    return seen.execute("INSERT OR IGNORE INTO seen VALUES (?)", (reference,)).rowcount == 1
