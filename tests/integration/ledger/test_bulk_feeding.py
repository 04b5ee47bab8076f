"""Bulk jobs at work: each letter is decided once, as the lane, the rate and the gate allow."""

import pytest
from redis import Redis

from tests.integration.ledger.bulk_parts import ALL, counts, start_job
from tests.integration.ledger.conftest import FINGERPRINTS, INSTANCE, Clock, Start
from tests.integration.ledger.many_letters import file_letter, file_letters
from tests.people import ANN
from worker.backfill.feeder import Feeder
from worker.backfill.job_models import JobStatus
from worker.backfill.job_store import Jobs
from worker.backfill.store import Backfills
from worker.errors import LedgerMismatch
from worker.ledger import Ledger
from worker.ledger.gate_control import GateKeeper
from worker.operations.bulk import BulkJobs
from worker.vault.vault import Vault


def test_a_job_fills_the_lane_and_keeps_to_its_rate_and_to_the_gate(
    redis_client: Redis, clock: Clock, ledger: Ledger, bulk: BulkJobs, feeder: Feeder
) -> None:
    file_letters(redis_client, ({"id": f"dl-{at}", "created_at": at} for at in range(60)))
    job_id = start_job(bulk)
    assert (feeder.feed(), feeder.feed(), bulk.get(job_id).decided) == (16, 0, 16)
    redis_client.delete(f"nightly:due:{INSTANCE}:backfill")
    GateKeeper(redis_client, now_ms=clock).close(INSTANCE, by=ANN, reason="because")
    assert (feeder.feed(), ledger.pulse(FINGERPRINTS, worker="w", slots=2).should_feed) == (0, False)
    GateKeeper(redis_client, now_ms=clock).open(INSTANCE, by=ANN)
    bulk.cancel(job_id, by=ANN)
    slow = start_job(bulk, rate=2)
    assert feeder.feed() == 4, "two seconds of it at once"
    clock.ms += 500
    assert (feeder.feed(), bulk.get(slow).decided) == (1, 5)


def test_letters_that_need_no_call_are_decided_at_once(redis_client: Redis, bulk: BulkJobs, feeder: Feeder) -> None:
    file_letters(redis_client, ({"id": f"dl-{at}", "created_at": at} for at in range(610)))
    bulk.run(bulk.prepare("resolve", ALL, by=ANN, note="x").id, by=ANN, typed="610")
    assert feeder.feed() == 610


def test_a_job_and_a_backfill_share_the_lane(
    redis_client: Redis, backfills: Backfills, bulk: BulkJobs, feeder: Feeder, start: Start
) -> None:
    file_letters(redis_client, ({"id": f"dl-{at}", "created_at": at} for at in range(60)))
    job_id, backfill_id = start_job(bulk), start([f"login-{at}" for at in range(60)])
    assert feeder.feed() == 16
    assert bulk.get(job_id).decided == backfills.get(backfill_id).fed == 8


def test_a_closed_gate_of_one_instance_does_not_hold_up_the_letters_of_another(
    redis_client: Redis, clock: Clock, backfills: Backfills, vault: Vault, jobs: Jobs, bulk: BulkJobs
) -> None:
    file_letter(redis_client, "dl-1", clock.ms)
    file_letter(redis_client, "dl-2", clock.ms - 1, instance="acme")
    redis_client.hset("nightly:configs:acme", "a", "proven")
    GateKeeper(redis_client, now_ms=clock).close(INSTANCE, by=ANN, reason="because")
    job_id = start_job(bulk)
    Feeder(backfills, vault, FINGERPRINTS | {"acme": "a"}, jobs=jobs).feed()
    assert [segment.at - segment.first for segment in bulk.get(job_id).segments] == [0, 1]
    bulk.cancel(job_id, by=ANN)
    assert [one.outcome.value for one in bulk.report(job_id)] == ["cancelled", "waiting"]


def test_calls_that_a_job_waits_for_hold_up_no_other_job_on_the_group(
    redis_client: Redis, clock: Clock, bulk: BulkJobs, feeder: Feeder
) -> None:
    file_letter(redis_client, "dl-1", clock.ms)
    first = start_job(bulk)
    feeder.feed()
    file_letter(redis_client, "dl-2", clock.ms)
    second = start_job(bulk)
    assert [bulk.get(each).status for each in (first, second)] == [JobStatus.RUNNING] * 2


def test_a_letter_whose_login_a_person_overwrote_does_not_stop_the_job(
    redis_client: Redis, clock: Clock, bulk: BulkJobs, feeder: Feeder
) -> None:
    file_letters(redis_client, ({"id": f"dl-{at}", "created_at": clock.ms - at} for at in range(3)))
    job_id = start_job(bulk)
    redis_client.set("nightly:login:lgn_dl-1", "mine")
    redis_client.delete("nightly:login:lgn_dl-2", "nightly:letter:dl-0")
    feeder.feed()
    found = [(one.outcome.value, one.code) for one in bulk.report(job_id)]
    assert found == [("closed", ""), ("superseded", ""), ("superseded", "")]
    assert bulk.get(job_id).status is JobStatus.FINISHED


def test_of_two_feeders_each_letter_is_decided_by_one(
    redis_client: Redis, clock: Clock, bulk: BulkJobs, jobs: Jobs
) -> None:
    file_letters(redis_client, ({"id": f"dl-{at}", "created_at": clock.ms} for at in range(30)))
    job_id = start_job(bulk, "resolve", note="x")
    segment = jobs.get(job_id).segments[0]
    assert [jobs.feed(job_id, 0, 20), jobs.feed(job_id, 0, 20), jobs.feed(job_id, 0, 20)] == [
        ("fed", 20, 10), ("fed", 10, 0), ("finished", 0, 0)
    ]  # fmt: skip
    assert (segment.last, counts(bulk, job_id)) == (30, {"resolved": 30})
    assert jobs.feed("job-none", 0, 20) == ("unknown", 0, 0)
    redis_client.hset("nightly:meta", "schema", 99)
    for act in (lambda: jobs.feed(job_id, 0, 1), lambda: bulk.prepare("replay", ["dl-1"], by=ANN)):
        with pytest.raises(LedgerMismatch):
            act()


def test_a_pulse_forgets_jobs_and_groups_of_jobs_that_have_expired(
    redis_client: Redis, clock: Clock, ledger: Ledger, bulk: BulkJobs, feeder: Feeder
) -> None:
    file_letter(redis_client, "dl-1", clock.ms)
    job_id = start_job(bulk, "resolve", note="x")
    feeder.feed()
    assert 0 < redis_client.pttl(f"nightly:backfill:{job_id}") <= 30 * 86_400_000
    redis_client.delete(f"nightly:backfill:{job_id}")
    ledger.pulse({}, worker="w", slots=1)
    assert not redis_client.exists("nightly:bulk-jobs", "nightly:bulk-groups", "nightly:backfills:running")
