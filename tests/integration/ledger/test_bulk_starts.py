"""Who may start a bulk job: one of two people on a group, and only with the number of a long list."""

import threading

import pytest
from redis import Redis

from tests.integration.ledger.bulk_parts import ALL, file_many, results
from tests.integration.ledger.conftest import Clock
from tests.integration.ledger.many_letters import file_letter
from tests.people import ANN, BOB
from worker.backfill.feeder import Feeder
from worker.backfill.job_models import JobStatus
from worker.errors import InvalidAction, OutOfDate
from worker.ledger.audit import Actor, AuditLog
from worker.operations.bulk import BulkJobs


@pytest.mark.parametrize(("typed", "runs"), [("", False), ("100", False), ("-101", False), (" 1,01 ", True)])
def test_more_than_100_letters_run_only_if_their_number_is_typed(
    redis_client: Redis, clock: Clock, bulk: BulkJobs, typed: str, *, runs: bool
) -> None:
    file_many(redis_client, 101, clock)
    job = bulk.prepare("replay", ALL, by=ANN)
    if runs:
        assert bulk.run(job.id, by=ANN, typed=typed).status is JobStatus.RUNNING
        return
    with pytest.raises(InvalidAction, match="type the number of its letters: 101"):
        bulk.run(job.id, by=ANN, typed=typed)
    assert bulk.get(job.id).status is JobStatus.PREPARED


def test_a_second_person_cannot_do_the_same_to_a_group(
    redis_client: Redis, clock: Clock, bulk: BulkJobs, feeder: Feeder
) -> None:
    file_many(redis_client, 2, clock)
    file_letter(redis_client, "dl-other", clock.ms, code="OTHER")
    first, second, other = (
        bulk.prepare("resolve", ["dl-1"], by=ANN, note="x"),
        bulk.prepare("resolve", ["dl-2", "dl-other"], by=BOB, note="x"),
        bulk.prepare("resolve", ["dl-other"], by=BOB, note="x"),
    )
    bulk.run(first.id, by=ANN)
    with pytest.raises(
        OutOfDate, match=rf"ann started resolve of 1 letters \({first.id}\) .*running.*Nothing was done"
    ):
        bulk.run(second.id, by=BOB)
    assert bulk.run(other.id, by=BOB).status is JobStatus.RUNNING, "another group"
    bulk.pause(first.id, by=ANN)
    during = bulk.prepare("resolve", ["dl-2"], by=BOB, note="x")
    with pytest.raises(OutOfDate, match="paused"):
        bulk.run(during.id, by=BOB)
    bulk.resume(first.id, by=ANN)
    feeder.feed()
    with pytest.raises(OutOfDate, match="after this list was made"):
        bulk.run(second.id, by=BOB)
    assert bulk.run(during.id, by=BOB).status is JobStatus.RUNNING, "its list was made after the first was started"
    for status, job in (("running", during), ("finished", first)):
        with pytest.raises(OutOfDate, match=rf"is {status}\. (ann|bob) started it at 2023-11-14"):
            bulk.run(job.id, by=ANN)
    assert set(results(bulk, second.id).values()) == {"waiting"}


def test_of_two_who_start_at_once_one_wins_and_one_entry_is_written(
    redis_client: Redis, clock: Clock, bulk: BulkJobs
) -> None:
    file_many(redis_client, 40, clock)
    jobs = [bulk.prepare("replay", ALL, by=ANN) for _ in range(2)] * 4
    results: list[str] = []
    barrier = threading.Barrier(len(jobs))

    def start(number: int, job_id: str) -> None:
        mine = BulkJobs(redis_client, calls_per_second=10, now_ms=clock)
        barrier.wait()
        try:
            results.append(mine.run(job_id, by=Actor(f"person-{number}", "operator", "api")).status.value)
        except OutOfDate:
            results.append("out of date")

    threads = [threading.Thread(target=start, args=(number, job.id)) for number, job in enumerate(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["out of date"] * 7 + ["running"]
    (entry,) = AuditLog(redis_client).entries()
    assert (entry.action, entry.detail["letters"]) == ("bulk.run", 40)


@pytest.mark.parametrize("rate", [0.0, 5e-324, -1.0, 2e6, float("inf"), float("nan")])
def test_a_job_is_not_started_with_a_rate_that_is_none(
    redis_client: Redis, clock: Clock, bulk: BulkJobs, rate: float
) -> None:
    file_many(redis_client, 1, clock)
    job = bulk.prepare("replay", ALL, by=ANN)
    with pytest.raises(InvalidAction, match=r"a rate of 0\.001 to 1,000,000 letters a second\. Nothing was done"):
        bulk.run(job.id, by=ANN, rate=rate)
    assert bulk.get(job.id).status is JobStatus.PREPARED


def test_the_rate_of_a_job_is_kept_and_audited(redis_client: Redis, clock: Clock, bulk: BulkJobs) -> None:
    file_many(redis_client, 2, clock)
    slow = bulk.run(bulk.prepare("replay", ALL, by=ANN).id, by=ANN, rate=0.5)
    assert bulk.get(slow.id).rate == 0.5
    (entry,) = AuditLog(redis_client).entries()
    assert entry.detail["letters_per_second"] == 0.5
