"""Freezes the list of a bulk job: stores the ids of its letters in chunks, by instance, in constant memory."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from worker.backfill.codec import ROWS_IN_CHUNK
from worker.errors import InvalidAction, UnknownLetter
from worker.redis_client.connect import BytesRedis

PREPARED_LIFE_MS = 86_400_000
"""A job that is not started for this long expires."""
LETTERS_AT_MOST = 1_000_000
"""Letters of one job: six bytes of outcome each and about ten of its id."""


@dataclass(slots=True)
class _Segment:
    number: int
    waiting: list[bytes] = field(default_factory=list)
    count: int = 0


class FrozenList:
    """The list of a job that is being prepared. Without the job's hash, which comes last, its chunks expire."""

    def __init__(self, client: BytesRedis, job_id: str) -> None:
        self.groups: set[bytes] = set()
        self.total = 0
        self._redis = client
        self._key = f"nightly:backfill:{job_id}:chunks"
        self._segments: dict[bytes, _Segment] = {}

    def add(self, letter_ids: Iterable[str], *, must_exist: bool) -> None:
        """Add letters, and store every full chunk.

        Letters that are not kept any more are left out, or raise UnknownLetter if they `must_exist`. More than
        LETTERS_AT_MOST raise InvalidAction.
        """
        remaining = iter(letter_ids)
        while batch := list(islice(remaining, ROWS_IN_CHUNK)):
            for letter_id, (group, instance) in zip(batch, self._read(batch), strict=True):
                if group is not None:
                    self._add(letter_id.encode(), group, instance or b"")
                elif must_exist:
                    raise UnknownLetter(f"there is no dead letter {letter_id!r}. Nothing was prepared.")
            if self.total > LETTERS_AT_MOST:
                raise InvalidAction(f"one job takes at most {LETTERS_AT_MOST:,} letters: narrow the filter")

    def finish(self) -> list[tuple[str, int]]:
        """Store what is left; returns the instance and the number of letters of each segment."""
        for segment in self._segments.values():
            if segment.waiting:
                self._store(segment)
        return [(instance.decode(), segment.count) for instance, segment in self._segments.items()]

    def discard(self) -> None:
        """Delete what was stored."""
        self._redis.delete(self._key)

    def _read(self, batch: list[str]) -> Iterator[tuple[bytes | None, bytes | None]]:
        with self._redis.pipeline(transaction=False) as pipeline:
            for letter_id in batch:
                pipeline.hmget(f"nightly:letter:{letter_id}", "group", "instance")
            return iter(pipeline.execute())

    def _add(self, letter_id: bytes, group: bytes, instance: bytes) -> None:
        segment = self._segments.setdefault(instance, _Segment(len(self._segments)))
        segment.waiting.append(letter_id)
        self.groups.add(group)
        self.total += 1
        if len(segment.waiting) == ROWS_IN_CHUNK:
            self._store(segment)

    def _store(self, segment: _Segment) -> None:
        name = f"{segment.number}:{segment.count // ROWS_IN_CHUNK}"
        with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.hset(self._key, name, b"\n".join(segment.waiting))
            pipeline.pexpire(self._key, PREPARED_LIFE_MS)
            pipeline.execute()
        segment.count += len(segment.waiting)
        segment.waiting.clear()


def chunk_names(number: int, rows: int) -> list[str]:
    """Return the names of the chunks of a segment with this many rows."""
    return [f"{number}:{chunk}" for chunk in range(-(-rows // ROWS_IN_CHUNK))]
