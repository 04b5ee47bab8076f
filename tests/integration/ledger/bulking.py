"""Bulk jobs in the random schedules: several at a time, started, fed, paused, resumed and cancelled."""

from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import Any

from redis import Redis

from tests.integration.ledger.rows import Listed, Rows
from tests.integration.ledger.world import LOGINS, WORKERS, World
from tests.ledger_calls import list_letters
from tests.people import ANN
from worker.backfill.job_codec import endings_of, job_of
from worker.backfill.job_models import JobStatus, JobTerms, LetterOutcome, Segment, Verb
from worker.backfill.job_store import Jobs
from worker.ledger import Letters
from worker.ledger.letter_filter import LetterFilter
from worker.ledger.letter_queries import LetterPages

AT_ONCE = 2
AT_WORK = {JobStatus.RUNNING, JobStatus.PAUSED}
ALLOWED = {"pause": {JobStatus.RUNNING}, "resume": {JobStatus.PAUSED}, "cancel": AT_WORK}


class Bulking:
    """The part of a schedule that runs bulk jobs."""

    client: Redis
    seen: Counter[str]
    world: World
    rows: Rows
    letters: Letters
    jobs: Jobs
    listed: list[Listed]
    sent: int

    def a_bulk_job_begins(self, chance: Random) -> None:
        """Start one on open letters and a closed one, unless another job has letters of their groups left."""
        pages = LetterPages(self.client, now_ms=self.letters._now_ms)
        found = [*list_letters(self.letters), *pages.page(LetterFilter(state="closed"), size=1).letters]
        found.sort(key=lambda letter: (letter.login, letter.id))
        if found and len(self.unended_jobs()) < AT_ONCE:
            ids = [letter.id for letter in chance.sample(found, chance.randint(1, min(4, len(found))))]
            self._start(ids, chance.choice([Verb.REPLAY, Verb.REPLAY, Verb.REPLAY, Verb.RESOLVE]), chance)

    def replay_what_is_open(self) -> None:
        """Start a job on every open letter."""
        if ids := [letter.id for letter in list_letters(self.letters)]:
            self._start(ids, Verb.REPLAY, Random(1))

    def _start(self, ids: list[str], verb: Verb, chance: Random) -> None:
        job = self.jobs.prepare(JobTerms(verb, "ann", "some", note="a note"), lambda: ids, must_exist=True)
        at_work = [self.jobs.get(one.job.id) for one in self.unended_jobs()]
        groups = {name for one in at_work if one.decided < one.total and one.status in AT_WORK for name in one.groups}
        reply = self.jobs.run(job, by=ANN, detail={})
        assert (reply == "done") == (not groups & set(job.groups)), (reply, groups, job.groups)
        if reply != "done":
            self.seen["a second bulk job is refused"] += 1
            return
        in_order = [name for segment in job.segments for name in self.jobs.letters(job.id, segment, segment.first)]
        self.listed.append(Listed(job, in_order))
        if chance.random() < 0.5:
            self._decide(self.listed[-1], job.segments[0], 2)

    def a_bulk_job_is_fed(self, chance: Random) -> None:
        """Decide some letters of one segment."""
        if found := self.unended_jobs():
            listed = chance.choice(found)
            left = [one for one in self.jobs.get(listed.job.id).segments if one.at < one.last]
            if left:
                self._decide(listed, chance.choice(left), chance.randint(1, 3))

    def _decide(self, listed: Listed, segment: Segment, at_most: int) -> int:
        status = self.jobs.get(listed.job.id).status
        ids = listed.letters[segment.at : min(segment.at + at_most, segment.last)]
        before = [self.letters.get(letter_id) for letter_id in ids]
        fingerprint = WORKERS[self.sent % 2].fingerprint
        state, decided, _ = self.jobs.feed(listed.job.id, segment.number, at_most, fingerprint=fingerprint)
        assert (state == "fed") <= (status is JobStatus.RUNNING)
        self.seen[f"bulk: {state}"] += 1
        for row, letter in enumerate(before[:decided], segment.at):
            outcome = self._outcome(listed, row, letter.login, letter.status)
            listed.endings[row] = (outcome, "")
            self.seen[f"bulk {listed.job.verb}: {outcome}"] += 1
        return decided

    def _outcome(self, listed: Listed, row: int, login: str, status: str) -> LetterOutcome:
        if status != "open":
            return LetterOutcome.SUPERSEDED if status == "superseded" else LetterOutcome.CLOSED
        self.world.failures[login] = 0
        if listed.job.verb is Verb.RESOLVE:
            return LetterOutcome.RESOLVED
        self.world.replays[LOGINS[login]] += 1
        self.rows.replay(login)
        self.rows.job_row_of[login] = (listed, row)
        return LetterOutcome.WAITING

    def a_person_steers_a_bulk_job(self, chance: Random) -> None:
        """Pause, resume or cancel it, if its status allows that."""
        if found := self.unended_jobs():
            listed, action = chance.choice(found), chance.choice(["pause", "resume", "cancel"])
            status = self.jobs.get(listed.job.id).status
            is_allowed = status in ALLOWED[action]
            assert (self.jobs.set_status(listed.job.id, action, by=ANN) == "done") == is_allowed
            self.seen[f"{action} a bulk job"] += is_allowed

    def look_at_jobs(self, pipeline: Any) -> None:
        """Add to the pipeline what `check_jobs` looks at."""
        for listed in self.listed:
            key = f"nightly:backfill:{listed.job.id}"
            pipeline.hgetall(key).getrange(f"{key}:rows", 0, -1)

    def check_jobs(self, found: Iterator[Any]) -> None:
        """Check outcomes and counts against the model, without jobs that have ended for good."""
        for listed in list(self.listed):
            self._check_job(listed, next(found), next(found))
            if listed.is_ended:
                assert [one.letter for one in self.jobs.results(listed.job.id, 0, listed.job.total)] == listed.letters
                self.listed.remove(listed)
                self.seen["an ended bulk job"] += 1

    def _check_job(self, listed: Listed, raw: dict[bytes, bytes], packed: bytes) -> None:
        job, expected = job_of(listed.job.id, raw), list(listed.endings)
        if job.status is JobStatus.CANCELLED:
            for segment in job.segments:
                left = segment.last - segment.at
                expected[segment.at : segment.last] = [(LetterOutcome.CANCELLED, "")] * left
        outcomes = [(outcome, code) for outcome, code, _ in endings_of(job, raw, packed, 0, job.total)]
        assert outcomes == expected
        counts = Counter(outcome.value for outcome, _ in outcomes)
        assert {name: count for name, count in job.counts.items() if count} == counts
        is_all = job.status is JobStatus.CANCELLED or job.decided == job.total
        waits = any(ending[0] is LetterOutcome.WAITING for ending in expected)
        listed.is_ended = is_all and not waits
        assert listed.is_ended == (job.ended_at is not None)

    def finish_jobs(self) -> None:
        """Decide the remaining letters; resume paused jobs."""
        for listed in self.unended_jobs():
            if self.jobs.get(listed.job.id).status is JobStatus.PAUSED:
                self.jobs.set_status(listed.job.id, "resume", by=ANN)
            for segment in self.jobs.get(listed.job.id).segments:
                self._decide(listed, segment, 7)

    def unended_jobs(self) -> list[Listed]:
        """Return the jobs that have not ended."""
        return [one for one in self.listed if not one.is_ended]
