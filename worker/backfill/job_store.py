"""Keeps bulk jobs in Redis: the list of letters, the state, and the outcome of each letter.

Blocking; every method raises redis.RedisError when Redis does not answer. Ids of letters are not secret, so a process
without LOGIN_KEYS can do all of this.
"""

import base64
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from worker.backfill.codec import ROWS_IN_CHUNK
from worker.backfill.job_codec import Ending, endings_of, fields_of, job_of
from worker.backfill.job_list import PREPARED_LIFE_MS, FrozenList, chunk_names
from worker.backfill.job_models import Job, JobTerms, LetterOutcome, LetterResult, Segment, Verb
from worker.errors import InvalidAction, UnknownJob
from worker.ledger.arguments import wish_arguments
from worker.ledger.audit import Actor, AuditLog, Deed
from worker.ledger.models import Recorded, Wish
from worker.ledger.scripts import Scripts
from worker.ledger.stored_hash import Hash, OnUnreadable, log_it, raise_it, read_hash, read_hashes, readable
from worker.redis_client.connect import BytesRedis, server_ms

ALL, RUNNING = "nightly:bulk-jobs", "nightly:backfills:running"
JOB = "job-"
"""Every job's id begins with it."""
_RESULT_BYTES = 6
_SHOWN = ("login", "instance", "code", "wish", "closed_by")
_WISHES = {b"1": "on", b"0": "off"}


def random_job_id() -> str:
    """Return a new random id."""
    return JOB + base64.b32encode(os.urandom(7)).decode().lower()[:10]


class Jobs:
    """The bulk jobs in one Redis. Its client must return bytes; `now_ms` and `new_id` are for tests."""

    def __init__(
        self,
        client: BytesRedis,
        *,
        now_ms: Callable[[], int] | None = None,
        new_id: Callable[[], str] = random_job_id,
    ) -> None:
        self.redis = client
        self._scripts = Scripts(client)
        self._audit = AuditLog(client, now_ms=now_ms)
        self._now_ms = now_ms
        self._new_id = new_id

    def prepare(self, terms: JobTerms, letter_ids: Callable[[], Iterable[str]], *, must_exist: bool) -> Job:
        """Freeze the list of a job, which waits for its start.

        `letter_ids` is called once the starts of other jobs are noted. Raises InvalidAction without a letter, and
        UnknownLetter if a letter that `must_exist` is not kept.
        """
        job_id, seen = self._new_id(), self._starts()
        frozen = FrozenList(self.redis, job_id)
        try:
            frozen.add(letter_ids(), must_exist=must_exist)
            self._store(job_id, terms, frozen, seen)
        except BaseException:
            frozen.discard()
            raise
        return self.get(job_id)

    def _store(self, job_id: str, terms: JobTerms, frozen: FrozenList, seen: int) -> None:
        segments = frozen.finish()
        if not segments:
            raise InvalidAction("No dead letter matches, so nothing was prepared.")
        groups = "\n".join(sorted(group.decode() for group in frozen.groups))
        chunks = [name for number, (_, count) in enumerate(segments) for name in chunk_names(number, count)]
        fields = fields_of(terms, segments) | {"seen": seen, "groups": groups, "counted_at": self.now_ms()}
        fields["foreseen"] = json.dumps(self._count(job_id, terms.verb, chunks))
        flat = [part for item in fields.items() for part in item]
        reply = self._scripts.run("bulk_prepare", self._now(), job_id, PREPARED_LIFE_MS, len(chunks), *flat)
        if reply != b"prepared":
            raise InvalidAction("Redis has lost a part of the list; prepare it again.")

    def get(self, job_id: str) -> Job:
        """Return one job; raises UnknownJob and Unreadable."""
        raw = read_hash(self.redis, _key(job_id)) if job_id.startswith(JOB) else {}
        return job_of(job_id, _known(job_id, raw))

    def all(self, *, on_unreadable: OnUnreadable = raise_it) -> list[Job]:
        """Return every job, oldest first, with those that wait for their start."""
        return self._read(self.redis.zrange(ALL, 0, -1), on_unreadable)

    def newest(self, count: int, *, on_unreadable: OnUnreadable = raise_it) -> tuple[list[Job], int]:
        """Return the newest jobs and older ones that have not ended, newest first; and the number of all others."""
        newest = self._read(self.redis.zrange(ALL, -count, -1), on_unreadable)
        jobs = {job.id: job for job in (*newest, *self.running())}
        others = max(0, self.redis.zcard(ALL) - len(jobs))
        return sorted(jobs.values(), key=lambda job: job.prepared_at, reverse=True), others

    def running(self) -> list[Job]:
        """Return the started jobs that have not ended, with paused and cancelled ones whose calls are not over.

        One that a person damaged in Redis is logged and left out, so that the others go on.
        """
        names = sorted(name for name in self.redis.smembers(RUNNING) if name.startswith(JOB.encode()))
        return self._read(names, log_it)

    def run(self, job: Job, *, by: Actor, detail: Mapping[str, object], rate: float | None = None) -> str:
        """Start a job, and record that; returns the reply of bulk_run.lua: `done`, or why it was not started.

        `rate` limits the letters a second.
        """
        deed, run = Deed(by, "bulk.run", job.id, why=job.note, detail=detail), self._scripts.run
        about = job.id, by.name, rate or ""
        reply = self._audit.perform(deed, lambda audit: run("bulk_run", self._now(), *about, *audit))
        return str(reply.decode())

    def set_status(self, job_id: str, action: str, *, by: Actor) -> str:
        """Pause, resume or cancel a job, and record that; returns `done`, `unknown`, or the status that forbids it."""
        deed, run = Deed(by, f"bulk.{action}", job_id), self._scripts.run
        reply = self._audit.perform(deed, lambda audit: run("backfill_set_status", self._now(), job_id, action, *audit))
        return str(reply.decode())

    def count(self, job: Job) -> Job:
        """Return the job with counts of what it would do now; they are not kept."""
        counted_at = self.now_ms()
        return replace(job, counted_at=counted_at, foreseen=self._count(job.id, job.verb, _chunks_of(job)))

    def keep_counts(self, job: Job) -> str:
        """Keep the counts of a job; returns `kept`, `unknown`, or its status if it does not wait for its start."""
        args = job.id, json.dumps(job.foreseen), job.counted_at
        return str(self._scripts.run("bulk_keep_counts", self._now(), *args).decode())

    def letters(self, job_id: str, segment: Segment, row: int) -> list[str]:
        """Return the ids of the letters from a row on, up to the end of its chunk; raises UnknownJob."""
        number, offset = divmod(row - segment.first, ROWS_IN_CHUNK)
        raw = self.redis.hget(f"{_key(job_id)}:chunks", f"{segment.number}:{number}")
        if raw is None:
            raise UnknownJob(f"bulk job {job_id!r} has lost a part of its list")
        return [letter_id.decode() for letter_id in raw.split(b"\n")[offset:]]

    def feed(self, job_id: str, segment: int, at_most: int, *, fingerprint: str = "") -> tuple[str, int, int]:
        """Decide the next letters of a segment, at most `at_most`.

        `fingerprint` names the caller's configuration of the segment's instance. Returns the state (`fed`, or the
        reason why no letter was decided), the number of letters decided, and the room for more.
        """
        args = job_id, segment, fingerprint, at_most, "", "", ""
        state, decided, room, _ = self._scripts.run("bulk_feed", self._now(), *args)
        return state.decode(), int(decided), int(room)

    def feed_message(
        self, job_id: str, segment: int, row: int, outcome: str, code: str, wishes: Sequence[Wish]
    ) -> tuple[str, list[Recorded]]:
        """Decide the rejected message of a row, and record its wishes if it is accepted.

        `outcome` is accepted, invalid or failed. Returns the state as `feed` does, and the result of each wish that was
        recorded: none, if the letter is closed.
        """
        parts = [part for wish in wishes for part in wish_arguments(wish)]
        args = job_id, segment, "", 1, row, outcome, code, *parts
        state, _, _, recorded = self._scripts.run("bulk_feed", self._now(), *args)
        return state.decode(), [Recorded(result.decode()) for result in recorded]

    def results(self, job_id: str, start: int, count: int) -> list[LetterResult]:
        """Return the results of `count` letters from row `start` (from 0) on; raises UnknownJob."""
        count = max(0, count)
        with self.redis.pipeline(transaction=True) as pipeline:
            pipeline.hgetall(_key(job_id))
            last = max((start + count) * _RESULT_BYTES - 1, 0)
            pipeline.getrange(f"{_key(job_id)}:rows", start * _RESULT_BYTES, last)
            raw, packed = pipeline.execute()
        job = job_of(job_id, _known(job_id, raw))
        endings = endings_of(job, raw, packed, start, count)
        return list(self._joined(self._letters_of_rows(job, start, len(endings)), endings))

    def _letters_of_rows(self, job: Job, start: int, count: int) -> list[str]:
        found: list[str] = []
        for segment in job.segments:
            while count and segment.first <= start < segment.last:
                part = self.letters(job.id, segment, start)[:count]
                found += part
                start, count = start + len(part), count - len(part)
        return found

    def _joined(self, letter_ids: Sequence[str], endings: Sequence[Ending]) -> Iterator[LetterResult]:
        with self.redis.pipeline(transaction=False) as pipeline:
            for letter_id in letter_ids:
                pipeline.hmget(f"nightly:letter:{letter_id}", _SHOWN)
            letters = pipeline.execute()
        for letter_id, (outcome, code, at_ms), about in zip(letter_ids, endings, letters, strict=True):
            login, instance, letter_code, closed_by = (_text(about[at]) for at in (0, 1, 2, 4))
            closer = closed_by if outcome is LetterOutcome.CLOSED else ""
            wish = _WISHES.get(about[3], "")
            yield LetterResult(letter_id, outcome, code, at_ms, login, instance, letter_code, wish, closer)

    def now_ms(self) -> int:
        """Return Redis' clock."""
        return self._now_ms() if self._now_ms else server_ms(self.redis)

    def _count(self, job_id: str, verb: Verb, chunks: Iterable[str]) -> Counter[str]:
        """Count a chunk in a call, so that Redis serves the workers in between."""
        counts: Counter[str] = Counter()
        for name in chunks:
            flat = self._scripts.run("bulk_preflight", self._now(), job_id, name, verb)
            for what, times in zip(flat[::2], flat[1::2], strict=True):
                counts[what.decode()] += int(times)
        return counts

    def _starts(self) -> int:
        return int(self.redis.get("nightly:bulk-jobs:starts") or 0)

    def _now(self) -> str | int:
        return self._now_ms() if self._now_ms else ""

    def _read(self, ids: Sequence[bytes], on_unreadable: OnUnreadable) -> list[Job]:
        names = [raw.decode("utf-8", "replace") for raw in ids]
        return list(readable(job_of, names, read_hashes(self.redis, map(_key, names)), on_unreadable))


def _chunks_of(job: Job) -> Iterator[str]:
    for segment in job.segments:
        yield from chunk_names(segment.number, segment.last - segment.first)


def _key(job_id: str) -> str:
    return f"nightly:backfill:{job_id}"


def _known(job_id: str, raw: Hash | None) -> Hash | None:
    if raw == {}:
        raise UnknownJob(f"there is no bulk job {job_id!r}; one that is not started expires after a day")
    return raw


def _text(raw: bytes | None) -> str:
    return (raw or b"").decode("utf-8", "replace")
