"""Bulk jobs: one verb for many dead letters, on a list that is frozen before anybody confirms it.

The review page, the API and the command line call these functions. A job is prepared, its preflight says what it would
do, and then it runs in the workers, which decide each letter once, whichever process is killed.
"""

from collections.abc import Callable, Iterator, Sequence

from worker.backfill.job_models import (
    CONFIRM_ABOVE,
    COUNT_ABOVE,
    Job,
    JobStatus,
    JobTerms,
    LetterResult,
    Preflight,
    Verb,
)
from worker.backfill.job_store import Jobs
from worker.errors import InvalidAction, OutOfDate, UnknownJob
from worker.ledger.audit import Actor
from worker.ledger.letter_filter import LetterFilter
from worker.ledger.letter_queries import LetterPages
from worker.ledger.queries import Views
from worker.ledger.stored_hash import OnUnreadable, raise_it
from worker.operations.bulk_preflight import preflight_of
from worker.operations.letter_actions import DAY_MS, NOTHING_LEFT, SNOOZE_AT_MOST_DAYS
from worker.operations.letter_texts import OWNER_AT_MOST, checked_text
from worker.redis_client.connect import BytesRedis
from worker.words import utc

REPORT_AT_ONCE = 500
SLOWEST_RATE, FASTEST_RATE = 0.001, 1_000_000
"""Letters a second."""


class BulkJobs:
    """The bulk jobs behind one Redis client, which must return bytes. Blocking; raises redis.RedisError.

    `calls_per_second` is the setting FLINKS_CALLS_PER_SECOND, for an instance that has made no call yet.
    """

    def __init__(self, client: BytesRedis, *, calls_per_second: float, now_ms: Callable[[], int] | None = None) -> None:
        self._jobs = Jobs(client, now_ms=now_ms)
        self._views = Views(client, now_ms=now_ms)
        self._pages = LetterPages(client, now_ms=now_ms)
        self._calls_per_second = calls_per_second

    def prepare(
        self,
        verb: str,
        selection: Sequence[str] | LetterFilter,
        *,
        by: Actor,
        note: str = "",
        owner: str = "",
        until_ms: int | None = None,
    ) -> Job:
        """Freeze the list of letters that `selection` names (ids) or matches (a filter); nothing is done to them yet.

        `note` is stored with letters that are closed, `owner` belongs to `assign`, `until_ms` to `snooze`. Raises
        InvalidAction for parameters that do not fit, UnknownLetter for an id.
        """
        known = _verb(verb)
        self._check_moment(known, until_ms)
        texts = _note(known, note), checked_text(owner, "owner", at_most=OWNER_AT_MOST, may_be_empty=True)
        terms = JobTerms(known, by.name, _words(selection), *texts, until_ms)
        if isinstance(selection, LetterFilter):
            return self._jobs.prepare(terms, lambda: self._pages.ids(selection), must_exist=False)
        return self._jobs.prepare(terms, lambda: dict.fromkeys(selection), must_exist=True)

    def preflight(self, job_id: str) -> Preflight:
        """Return what the job would do to each letter of its list: now, if they are at most COUNT_ABOVE.

        A longer list was counted when it was prepared, or by `count`. Raises UnknownJob.
        """
        job = self._jobs.get(job_id)
        return self._preflight(job if job.total > COUNT_ABOVE else self._jobs.count(job))

    def count(self, job_id: str) -> Preflight:
        """Count again what the job would do, and keep that for `preflight`. 100,000 letters take about a second.

        Raises UnknownJob, and OutOfDate if the job was started or cancelled.
        """
        job = self._jobs.get(job_id)
        if job.status is not JobStatus.PREPARED:
            raise OutOfDate(_why_not(job))
        counted = self._jobs.count(job)
        if self._jobs.keep_counts(counted) != "kept":
            raise OutOfDate(_why_not(self._jobs.get(job_id)))
        return self._preflight(counted)

    def run(self, job_id: str, *, by: Actor, typed: str = "", rate: float | None = None) -> Job:
        """Start a job; above CONFIRM_ABOVE letters `typed` must be their number. `rate` limits letters a second.

        Raises UnknownJob, InvalidAction for another number or another rate, and OutOfDate if the job was
        started already, or if another job on one of its groups is at work or was started after this list was made.
        """
        job = self._jobs.get(job_id)
        if rate is not None and not SLOWEST_RATE <= rate <= FASTEST_RATE:
            raise InvalidAction(
                f"Give a rate of {SLOWEST_RATE} to {FASTEST_RATE:,} letters a second. Nothing was done."
            )
        if job.status is not JobStatus.PREPARED:
            raise OutOfDate(_why_not(job))
        if job.total > CONFIRM_ABOVE and _digits(typed) != str(job.total):
            raise InvalidAction(f"To start this job, type the number of its letters: {job.total}. Nothing was done.")
        detail = {"verb": job.verb.value, "letters": job.total, "selection": job.selection}
        reply = self._jobs.run(job, by=by, detail=detail | ({"letters_per_second": rate} if rate else {}), rate=rate)
        if reply == "done":
            return self._jobs.get(job_id)
        if reply.startswith("started "):
            raise OutOfDate(self._other(reply.removeprefix("started ")))
        raise OutOfDate(_why_not(self._jobs.get(job_id)))

    def pause(self, job_id: str, *, by: Actor) -> Job:
        """Decide no more letters until `resume`; raises UnknownJob, and OutOfDate unless it is running."""
        return self._set_status(job_id, "pause", by)

    def resume(self, job_id: str, *, by: Actor) -> Job:
        """Continue a paused job; raises UnknownJob, and OutOfDate unless it is paused."""
        return self._set_status(job_id, "resume", by)

    def cancel(self, job_id: str, *, by: Actor) -> Job:
        """Decide no more letters, for good; calls for those decided before are still made.

        Raises UnknownJob, and OutOfDate if it has ended.
        """
        return self._set_status(job_id, "cancel", by)

    def get(self, job_id: str) -> Job:
        """Return one job; raises UnknownJob."""
        return self._jobs.get(job_id)

    def list(self, *, on_unreadable: OnUnreadable = raise_it) -> Sequence[Job]:
        """Return every job, newest first. Jobs are kept for 30 days after their end, a day if never started."""
        return self._jobs.all(on_unreadable=on_unreadable)[::-1]

    def newest(self, count: int, *, on_unreadable: OnUnreadable = raise_it) -> tuple[Sequence[Job], int]:
        """Return the newest jobs and older ones that have not ended, newest first; and the number of all others."""
        return self._jobs.newest(count, on_unreadable=on_unreadable)

    def results(self, job_id: str, start: int = 0, count: int = 50) -> Sequence[LetterResult]:
        """Return the results of `count` letters from row `start` (from 0) on; raises UnknownJob."""
        return self._jobs.results(job_id, start, count)

    def report(self, job_id: str) -> Iterator[LetterResult]:
        """Yield the result of every letter, in the list's order, at any time; raises UnknownJob."""
        total = self._jobs.get(job_id).total
        for start in range(0, total, REPORT_AT_ONCE):
            yield from self._jobs.results(job_id, start, REPORT_AT_ONCE)

    def _set_status(self, job_id: str, action: str, by: Actor) -> Job:
        self._jobs.get(job_id)
        reply = self._jobs.set_status(job_id, action, by=by)
        if reply == "unknown":
            raise UnknownJob(f"there is no bulk job {job_id!r} any more")
        if reply != "done":
            raise OutOfDate(f"Bulk job {job_id} is {reply} by now, so it cannot {action}. Nothing was done.")
        return self._jobs.get(job_id)

    def _preflight(self, job: Job) -> Preflight:
        return preflight_of(job, self._views, self._calls_per_second)

    def _check_moment(self, verb: Verb, until_ms: int | None) -> None:
        now_ms = self._views.now_ms()
        if verb is Verb.SNOOZE and not now_ms < (until_ms or 0) <= now_ms + SNOOZE_AT_MOST_DAYS * DAY_MS:
            raise InvalidAction(f"Snooze until a time in the next {SNOOZE_AT_MOST_DAYS} days. Nothing was prepared.")

    def _other(self, job_id: str) -> str:
        other = self._jobs.get(job_id)
        is_over = other.status in {JobStatus.FINISHED, JobStatus.CANCELLED} or other.decided == other.total
        started = f"{other.starter} started {_verb_words(other)} ({job_id}) at {utc(other.started_at or 0)}"
        if is_over:
            return f"{started}, after this list was made. Nothing was done: make a new list."
        return f"{started} on the same group, and it is {other.status.value}. Nothing was done: wait for its end."


def _verb(text: str) -> Verb:
    try:
        return Verb(text)
    except ValueError:
        raise InvalidAction(f"the verb is none of {', '.join(Verb)}") from None


def _note(verb: Verb, note: str) -> str:
    text = checked_text(note, "note", may_be_empty=verb is not Verb.RESOLVE)
    return f"{NOTHING_LEFT} {text}".strip() if verb is Verb.NOTHING_LEFT else text


def _words(selection: Sequence[str] | LetterFilter) -> str:
    if not isinstance(selection, LetterFilter):
        return "chosen one by one"
    return ", ".join(f"{name} {value}" for name, value in selection.to_query().items()) or "every open letter"


def _verb_words(job: Job) -> str:
    return f"{job.verb.value.replace('_', ' ')} of {job.total:,} letters"


def _why_not(job: Job) -> str:
    started = f"{job.starter} started it at {utc(job.started_at)}" if job.started_at else "It was not started"
    return f"Bulk job {job.id} is {job.status.value}. {started}. Nothing was done."


def _digits(typed: str) -> str:
    """Return what was typed without separators of thousands: a page shows the number with them."""
    return typed.strip().replace(",", "").replace(" ", "")
