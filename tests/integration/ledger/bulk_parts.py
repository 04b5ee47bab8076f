"""What the tests of bulk jobs share: letters to work on, a job at work, and what it has done so far."""

from typing import Any

from redis import Redis

from tests.integration.ledger.conftest import Clock
from tests.integration.ledger.many_letters import file_letters
from tests.people import ANN
from worker.ledger.letter_filter import LetterFilter
from worker.operations.bulk import BulkJobs

ALL = LetterFilter()


def file_many(client: Redis, count: int, clock: Clock, **changes: Any) -> None:
    """File the letters dl-1, dl-2 and so on, newest first."""
    file_letters(client, ({"id": f"dl-{at}", "created_at": clock.ms - at} | changes for at in range(1, count + 1)))


def start_job(
    bulk: BulkJobs, verb: str = "replay", selection: Any = ALL, *, rate: float | None = None, **terms: Any
) -> str:
    """Prepare and run a job; returns its id."""
    job = bulk.prepare(verb, selection, by=ANN, **terms)
    return bulk.run(job.id, by=ANN, typed=str(job.total), rate=rate).id


def counts(bulk: BulkJobs, job_id: str) -> dict[str, int]:
    """Return the outcomes that letters have, with their number."""
    return {name: count for name, count in bulk.get(job_id).counts.items() if count}


def results(bulk: BulkJobs, job_id: str) -> dict[str, str]:
    """Return the outcome of each letter."""
    return {one.letter: one.outcome.value for one in bulk.report(job_id)}
