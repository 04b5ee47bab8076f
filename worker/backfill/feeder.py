"""Hands rows of the running backfills and bulk jobs over to the lanes of their instances, in fair shares.

The script that hands rows over also moves the backfill's cursor. So a feeder keeps no state, may be killed at any
point, and two feeders at once hand no row over twice. Blocking; raises redis.RedisError.
"""

import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from worker.backfill.codec import ROWS_IN_CHUNK
from worker.backfill.job_feeder import Cursor, Decide, Judge, cursors_of
from worker.backfill.job_store import Jobs
from worker.backfill.models import Backfill, Row, Status
from worker.backfill.quiet_hours import QuietHours
from worker.backfill.store import Backfills
from worker.errors import SealError, UnknownBackfill, UnknownKey
from worker.telemetry.logs import get_logger
from worker.vault.spellings import Spellings
from worker.vault.vault import Vault

FEED_AT_MOST = 100
"""Maximum rows in one script call, which blocks Redis for about a millisecond."""
FEED_SECONDS = 2.0
"""Time limit for one `feed`. Rows that end without a call do not fill the lane, and other tasks need the slot."""
QUIET_LOOK_MS = 10_000
"""Interval between checks while every backfill is in its quiet hours."""

log = get_logger(__name__)
_CHANCE = random.SystemRandom()


class RowCursor:
    """The next row of one backfill to hand over, and the chunk that holds it."""

    def __init__(self, feeder: "Feeder", backfill: Backfill) -> None:
        self.backfill = backfill
        self.lane = backfill.instance
        self.at = backfill.fed
        self._feeder = feeder
        self._number = -1
        self._rows: Sequence[Row] = ()

    @property
    def is_at_end(self) -> bool:
        """Whether every row is handed over."""
        return self.at >= self.backfill.rows

    def next_rows(self, at_most: int) -> Sequence[Row]:
        """Return the next rows, none of them from a later chunk; raises SealError and UnknownBackfill."""
        number, offset = divmod(self.at, ROWS_IN_CHUNK)
        if number != self._number:
            self._rows, self._number = self._feeder.backfills.chunk(self.backfill.id, number), number
        return self._rows[offset : offset + at_most]

    def hand_over(self, at_most: int) -> bool:
        """Hand over at most `at_most` rows; returns whether this backfill can hand over more now."""
        return self._feeder.hand_over(self, at_most)


class Feeder:
    """Feeds the backfills of the instances that have a fingerprint, and bulk jobs.

    `judge` judges rejected messages; without it, bulk jobs that replay such messages are left to others.
    """

    def __init__(
        self,
        backfills: Backfills,
        vault: Vault,
        fingerprints: Mapping[str, str],
        *,
        jobs: Jobs | None = None,
        judge: Judge | None = None,
        is_stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self.backfills = backfills
        self._jobs = jobs
        self._judge = judge
        self._vault = vault
        self._fingerprints = fingerprints
        self._is_stopping = is_stopping
        self.leaves_rows_to_others = False
        """Whether `feed` left rows because this worker lacks their key, and another live worker holds that key."""

    def feed(self) -> int:
        """Fill each lane once; returns how many rows were handed over."""
        ends_at = time.monotonic() + FEED_SECONDS
        by_lane: dict[str, list[Cursor]] = defaultdict(list)
        judge = self._judge_or_leave if self._judge else None
        if self._jobs is not None:
            for cursor in cursors_of(self._jobs, self._jobs.running(), self._fingerprints, judge):
                by_lane[cursor.lane].append(cursor)
        for backfill in self._awake(has_jobs=bool(by_lane)):
            by_lane[backfill.instance].append(RowCursor(self, backfill))
        lanes = list(by_lane.items())
        _CHANCE.shuffle(lanes)  # the time may end before the last lane
        return sum(self._fill(lane, cursors, ends_at) for lane, cursors in lanes)

    def _awake(self, *, has_jobs: bool) -> list[Backfill]:
        """Return the running backfills that have rows left, and are outside their quiet hours."""
        served = [backfill for backfill in self.backfills.running() if backfill.instance in self._fingerprints]
        running = [one for one in served if one.status is Status.RUNNING and one.fed < one.rows]
        now = self.backfills.now_ms()
        awake = [backfill for backfill in running if not _is_quiet(backfill, now)]
        if running and not awake and not has_jobs:
            self.backfills.hold_hints(QUIET_LOOK_MS)
        return awake

    def _fill(self, lane: str, cursors: list[Cursor], ends_at: float) -> int:
        """Give every backfill of a lane an equal share; what one does not use goes to the others."""
        _CHANCE.shuffle(cursors)  # with room for fewer rows than there are backfills, a random one is first
        before = sum(cursor.at for cursor in cursors)
        taking = cursors
        while taking and time.monotonic() < ends_at and not self._is_stopping():
            room = self.backfills.lane_room(lane) if lane else FEED_AT_MOST * len(taking)
            share = max(1, room // len(taking))
            taking = [cursor for cursor in taking if cursor.hand_over(min(share, FEED_AT_MOST))]
        return sum(cursor.at for cursor in cursors) - before

    def hand_over(self, cursor: RowCursor, at_most: int) -> bool:
        """Hand over at most `at_most` rows of a backfill; returns whether it can hand over more now."""
        try:
            rows = cursor.next_rows(at_most)
        except UnknownKey as error:
            self.leaves_rows_to_others |= self.backfills.is_key_held(error.key_id)
            return False
        except (SealError, UnknownBackfill) as error:
            log.error("backfill_unreadable", backfill=cursor.backfill.id, reason=str(error))  # noqa: TRY400 - the reason is enough
            return False
        fields = [field for row in rows for field in self._fields(cursor.backfill, row)]
        fingerprint = self._fingerprints[cursor.backfill.instance]
        state, handed_over, room = self.backfills.feed(cursor.backfill.id, cursor.at, fields, fingerprint=fingerprint)
        cursor.at += handed_over
        return state == "fed" and room > 0 and not cursor.is_at_end

    def _judge_or_leave(self, letter_id: str, decide: Decide) -> bool:
        is_judged = self._judge is not None and self._judge(letter_id, decide)
        self.leaves_rows_to_others |= not is_judged
        return is_judged

    def _fields(self, backfill: Backfill, row: Row) -> Iterator[str | bytes]:
        if row.problem:
            yield from ("", "", "")
            return
        reference = self._vault.reference(backfill.instance, row.login_id)
        yield reference
        yield self._vault.seal_login(reference, row.login_id)
        yield (row.account_id and self._vault.without_login(row.account_id, Spellings(row.login_id))) or ""


def _is_quiet(backfill: Backfill, now_ms: int) -> bool:
    hours = QuietHours.read(backfill.quiet, backfill.timezone)
    return hours is not None and hours.include(now_ms)
