"""The cursors of running bulk jobs, one for each segment, which the feeder moves as it moves those of backfills.

The script that decides letters also moves the cursor, so a feeder may be killed at any point. A rejected message is
judged first, which changes nothing; then one script records its wishes and decides its row.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from worker.backfill.job_models import Job, JobStatus, Segment, Verb
from worker.backfill.job_store import Jobs
from worker.errors import UnknownJob
from worker.ledger import Recorded, Wish
from worker.telemetry.logs import get_logger

log = get_logger(__name__)
DECIDE_AT_MOST = 100
"""Letters in one script call, which blocks Redis for some milliseconds."""
Decide = Callable[[str, str, Sequence[Wish]], Sequence[Recorded]]
"""Decides a row by how its message was judged: accepted, invalid or failed; a code; and the wishes to record. Returns
the result of each wish: none, if the row was not decided now or the letter is closed."""
Judge = Callable[[str, Decide], bool]
"""Judges the message of a letter, and calls `decide`; False leaves it to a worker that holds its key."""


class Cursor(Protocol):
    """What the feeder moves: the next row of one backfill, or of one segment of a bulk job."""

    at: int

    @property
    def lane(self) -> str:
        """The instance whose lane takes the rows; empty if they need none."""

    def hand_over(self, at_most: int) -> bool:
        """Hand over at most `at_most` rows; returns whether more can be handed over now."""


class LetterCursor:
    """The next letter of one segment of a job."""

    def __init__(self, jobs: Jobs, job: Job, segment: Segment, fingerprint: str) -> None:
        self.at = segment.at
        self.lane = segment.instance if job.verb is Verb.REPLAY else ""
        self._jobs, self._job, self._segment, self._fingerprint = jobs, job, segment, fingerprint

    def hand_over(self, at_most: int) -> bool:
        """Decide at most `at_most` letters; returns whether more can be decided now."""
        state, decided, room = self._jobs.feed(
            self._job.id, self._segment.number, at_most, fingerprint=self._fingerprint
        )
        self.at += decided
        return state == "fed" and decided > 0 and room > 0 and self.at < self._segment.last


class MessageCursor:
    """The next rejected message of a job that replays it."""

    lane = ""

    def __init__(self, jobs: Jobs, job: Job, segment: Segment, judge: Judge) -> None:
        self.at = segment.at
        self._jobs, self._job, self._segment, self._judge = jobs, job, segment, judge
        self._letters: list[str] = []
        self._state = ""

    def hand_over(self, at_most: int) -> bool:
        """Judge and decide one message; returns whether more can be decided now."""
        del at_most
        try:
            self._letters = self._letters or self._jobs.letters(self._job.id, self._segment, self.at)
        except UnknownJob as error:  # others go on
            log.error("bulk_job_unreadable", job=self._job.id, reason=str(error))  # noqa: TRY400 - the reason is enough
            return False
        if not self._judge(self._letters.pop(0), self._decide) or self._state != "fed":
            return False
        self.at += 1
        return self.at < self._segment.last

    def _decide(self, outcome: str, code: str, wishes: Sequence[Wish]) -> Sequence[Recorded]:
        place = self._job.id, self._segment.number, self.at
        self._state, recorded = self._jobs.feed_message(*place, outcome, code, wishes)
        return recorded


def cursors_of(
    jobs: Jobs, running: Iterable[Job], fingerprints: Mapping[str, str], judge: Judge | None
) -> Iterator[Cursor]:
    """Yield a cursor for each segment of running jobs with letters left that this process can decide."""
    for job in running:
        for segment in job.segments if job.status is JobStatus.RUNNING else ():
            if segment.at < segment.last and (cursor := _cursor(jobs, job, segment, fingerprints, judge)):
                yield cursor


def _cursor(
    jobs: Jobs, job: Job, segment: Segment, fingerprints: Mapping[str, str], judge: Judge | None
) -> Cursor | None:
    if job.verb is not Verb.REPLAY:
        return LetterCursor(jobs, job, segment, "")
    if segment.instance in fingerprints:
        return LetterCursor(jobs, job, segment, fingerprints[segment.instance])
    return MessageCursor(jobs, job, segment, judge) if judge and not segment.instance else None


def decide_now(jobs: Jobs, job: Job, fingerprints: Mapping[str, str], judge: Judge | None) -> None:
    """Decide the letters of one job for which there is room now. Workers go on with the rest."""
    for cursor in cursors_of(jobs, [job], fingerprints, judge):
        while cursor.hand_over(DECIDE_AT_MOST):
            pass
