"""The preflight of a bulk job, and its list, which is frozen."""

import pytest
from redis import Redis

from tests.integration.ledger.bulk_parts import ALL, file_many, results
from tests.integration.ledger.conftest import INSTANCE, Clock
from tests.integration.ledger.many_letters import file_letter, file_letters
from tests.integration.ledger.rejected import park
from tests.ledger_calls import close
from tests.people import ANN
from worker.backfill import job_list
from worker.backfill.feeder import Feeder
from worker.backfill.job_models import COUNT_ABOVE, JobStatus
from worker.backfill.job_store import Jobs
from worker.errors import InvalidAction, OutOfDate, UnknownJob, UnknownLetter
from worker.ledger import Letters
from worker.ledger.gate_control import GateKeeper
from worker.operations.bulk import BulkJobs


def test_letters_that_come_or_close_after_the_preflight_change_nothing_in_the_list(
    redis_client: Redis, clock: Clock, bulk: BulkJobs, letters: Letters, feeder: Feeder
) -> None:
    file_many(redis_client, 3, clock)
    job = bulk.prepare("resolve", ALL, by=ANN, note="cleanup")
    file_letter(redis_client, "dl-9", clock.ms)
    close(letters, "dl-2", "resolved", by="carl")
    assert bulk.preflight(job.id).closed == 1
    bulk.run(job.id, by=ANN)
    assert feeder.feed() == 3
    assert results(bulk, job.id) == {"dl-1": "resolved", "dl-2": "closed", "dl-3": "resolved"}
    assert letters.get("dl-9").status == "open"
    assert [one.closed_by for one in bulk.report(job.id)] == ["", "carl", ""]
    assert (letters.get("dl-1").closed_by, letters.get("dl-1").note) == ("ann", "cleanup")
    assert (letters.get("dl-2").closed_by, bulk.get(job.id).status) == ("carl", JobStatus.FINISHED)


def test_the_preflight_puts_each_letter_into_one_count_and_says_how_long_the_calls_take(
    redis_client: Redis, clock: Clock, bulk: BulkJobs, letters: Letters
) -> None:
    file_many(redis_client, 60, clock)
    file_letters(redis_client, ({"id": f"dl-a{at}", "created_at": clock.ms, "instance": "acme"} for at in range(40)))
    park(letters)
    job = bulk.prepare("replay", ALL, by=ANN)
    redis_client.hset("nightly:login:lgn_dl-1", "C", "1:1:5")  # confirmed as wished before
    redis_client.hset("nightly:login:lgn_dl-2", "s", "flight")
    redis_client.hset("nightly:login:lgn_dl-3", "x", "dl-77")
    close(letters, "dl-4", "resolved", by="bob")
    redis_client.hset("nightly:rate:acme", mapping={"ceiling": "2"})
    GateKeeper(redis_client, now_ms=clock).close("acme", by=ANN, reason="because")
    found = bulk.preflight(job.id)
    assert (found.total, found.called, found.already_as_wished, found.in_flight) == (101, 96, 1, 1)
    assert (found.superseded, found.closed, found.accepted_again, found.changed) == (1, 1, 1, 0)
    assert (found.seconds, found.calls_per_second, found.closed_gates, found.must_type) == (20, 2, ("acme",), 101)


def test_a_list_longer_than_a_chunk_is_frozen_by_instance(redis_client: Redis, clock: Clock, bulk: BulkJobs) -> None:
    """Its list is in chunks of 500 for each instance; the report has every letter once."""
    file_many(redis_client, 700, clock)
    file_letters(
        redis_client, ({"id": f"dl-a{at}", "created_at": clock.ms - at, "instance": "acme"} for at in range(1, 502))
    )
    job = bulk.prepare("replay", ALL, by=ANN)
    assert {(one.instance, one.last - one.first) for one in job.segments} == {(INSTANCE, 700), ("acme", 501)}
    assert bulk.preflight(job.id).called == 1201
    names = [one.letter for one in bulk.report(job.id)]
    assert len(names) == len(set(names)) == 1201
    assert [one.letter for one in bulk.results(job.id, 699, 3)] == names[699:702]
    assert bulk.results(job.id, 1201, 50) == bulk.results(job.id, 9999, 50) == []


def test_an_unknown_letter_and_too_many_letters_are_refused_and_leave_nothing(
    redis_client: Redis, clock: Clock, bulk: BulkJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_many(redis_client, 501, clock)
    with pytest.raises(UnknownLetter, match="dl-none"):
        bulk.prepare("replay", [*(f"dl-{at}" for at in range(1, 501)), "dl-none"], by=ANN)
    monkeypatch.setattr(job_list, "LETTERS_AT_MOST", 99)
    with pytest.raises(InvalidAction, match="at most 99 letters"):
        bulk.prepare("replay", ALL, by=ANN)
    assert not redis_client.keys("nightly:backfill:*")


def test_a_job_that_nobody_starts_expires(redis_client: Redis, clock: Clock, bulk: BulkJobs) -> None:
    file_many(redis_client, 1, clock)
    job = bulk.prepare("replay", ALL, by=ANN)
    keys = redis_client.keys(f"nightly:backfill:{job.id}*")
    assert len(keys) == 2
    assert all(0 < redis_client.pttl(key) <= 86_400_000 for key in keys)
    redis_client.delete(*keys)
    for act in (bulk.get, bulk.preflight, bulk.results, lambda name: bulk.run(name, by=ANN)):
        with pytest.raises(UnknownJob, match="expires after a day"):
            act(job.id)
    assert bulk.list() == []
    bulk.cancel(bulk.prepare("replay", ALL, by=ANN).id, by=ANN)
    assert (bulk.list()[0].status, bulk.list()[0].counts["cancelled"]) == (JobStatus.CANCELLED, 1)


def test_a_long_list_is_counted_once_and_again_only_when_somebody_asks(
    redis_client: Redis, clock: Clock, bulk: BulkJobs, letters: Letters
) -> None:
    file_many(redis_client, COUNT_ABOVE + 1, clock)
    prepared_at = clock.ms
    job = bulk.prepare("replay", ALL, by=ANN)
    close(letters, "dl-2", "resolved", by="carl")
    clock.ms += 60_000
    before = _commands(redis_client)
    found = bulk.preflight(job.id)
    assert _commands(redis_client) - before < 20, "the letters were read"
    assert (found.called, found.closed, found.counted_at) == (COUNT_ABOVE + 1, 0, prepared_at)
    assert bulk.count(job.id) == bulk.preflight(job.id)
    found = bulk.preflight(job.id)
    assert (found.called, found.closed, found.counted_at) == (COUNT_ABOVE, 1, clock.ms)
    GateKeeper(redis_client, now_ms=clock).close(INSTANCE, by=ANN, reason="because")
    assert bulk.preflight(job.id).closed_gates == (INSTANCE,), "a gate is that of now"


def test_a_job_that_was_started_or_cancelled_is_not_counted_again(
    redis_client: Redis, clock: Clock, bulk: BulkJobs, jobs: Jobs
) -> None:
    file_many(redis_client, 2, clock)
    started, cancelled = bulk.prepare("resolve", ["dl-1"], by=ANN, note="x"), bulk.prepare("replay", ["dl-2"], by=ANN)
    bulk.run(started.id, by=ANN)
    bulk.cancel(cancelled.id, by=ANN)
    for job, status in ((started, "running"), (cancelled, "cancelled")):
        with pytest.raises(OutOfDate, match=rf"is {status}.*Nothing was done"):
            bulk.count(job.id)
        assert jobs.keep_counts(jobs.count(job)) == status, "it was started while it was counted"
    redis_client.delete(f"nightly:backfill:{started.id}")
    assert jobs.keep_counts(started) == "unknown"


def test_a_letter_whose_login_a_person_overwrote_is_counted_as_not_possible(
    redis_client: Redis, clock: Clock, bulk: BulkJobs
) -> None:
    file_many(redis_client, 2, clock)
    redis_client.set("nightly:login:lgn_dl-1", "mine")
    found = bulk.preflight(bulk.prepare("replay", ALL, by=ANN).id)
    assert (found.called, found.not_applicable) == (1, 1)


def _commands(client: Redis) -> int:
    return int(client.info("stats")["total_commands_processed"])
