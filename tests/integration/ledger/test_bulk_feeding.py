"""Bulk jobs at work: each letter is decided once, its row ends with the call, and the tally still adds up."""

from dataclasses import replace
from typing import Any

import pytest
from redis import Redis

from tests.integration.ledger.conftest import INSTANCE, Clock, Start, claim_all, outcomes, refuse, tally, wishes
from tests.integration.ledger.many_letters import file_letter, file_letters
from tests.integration.ledger.world import ENDED
from tests.ledger_calls import close, list_letters
from tests.people import ANN
from worker.backfill.feeder import Feeder
from worker.backfill.job_models import JobStatus
from worker.backfill.job_store import Jobs
from worker.backfill.models import RowOutcome
from worker.backfill.store import Backfills
from worker.errors import LedgerMismatch, OutOfDate
from worker.ledger import Ledger, Letters
from worker.ledger.audit import AuditLog
from worker.ledger.gate_control import GateKeeper
from worker.ledger.letter_changes import Act, LetterChanges
from worker.ledger.letter_filter import LetterFilter
from worker.operations.bulk import BulkJobs
from worker.vault.vault import Vault

ALL = LetterFilter()
FINGERPRINTS = {INSTANCE: "proven-one"}


@pytest.fixture
def bulk(redis_client: Redis, clock: Clock) -> BulkJobs:
    return BulkJobs(redis_client, calls_per_second=10, now_ms=clock)


@pytest.fixture
def jobs(redis_client: Redis, clock: Clock) -> Jobs:
    return Jobs(redis_client, now_ms=clock)


@pytest.fixture
def letters(redis_client: Redis, clock: Clock) -> Letters:
    return Letters(redis_client, now_ms=clock)


@pytest.fixture
def feeder(backfills: Backfills, vault: Vault, jobs: Jobs) -> Feeder:
    return Feeder(backfills, vault, FINGERPRINTS, jobs=jobs)


@pytest.fixture
def dead(ledger: Ledger, clock: Clock, claim: Any, settle: Any) -> Any:
    """Make this many logins dead letters, by the events and calls that do so."""

    def dead(count: int, code: str = "DISABLED_LOGIN") -> None:
        ledger.record(wishes(count))
        for claimed in claim_all(clock, claim, count):
            settle(claimed, "dead", code=code, http_status=401)
        clock.ms += 1000

    return dead


def start_job(
    bulk: BulkJobs, verb: str = "replay", selection: Any = ALL, *, rate: float | None = None, **terms: Any
) -> str:
    return bulk.run(bulk.prepare(verb, selection, by=ANN, **terms).id, by=ANN, rate=rate).id


def counts(bulk: BulkJobs, job_id: str) -> dict[str, int]:
    return {name: count for name, count in bulk.get(job_id).counts.items() if count}


def adds_up(ledger: Ledger) -> bool:
    due = sum(ledger.redis.zcard(f"nightly:due:{INSTANCE}:{lane}") for lane in ("live", "backfill"))
    return tally(ledger, "recorded") + tally(ledger, "replayed") == due + sum(tally(ledger, name) for name in ENDED)


def test_a_replayed_letter_ends_with_its_call(
    ledger: Ledger, clock: Clock, bulk: BulkJobs, feeder: Feeder, dead: Any, claim: Any, settle: Any, letters: Letters
) -> None:
    dead(4)
    job_id = start_job(bulk)
    assert ledger.pulse(FINGERPRINTS, worker="w", slots=2).should_feed
    assert (feeder.feed(), feeder.feed()) == (4, 0)
    assert adds_up(ledger)
    assert counts(bulk, job_id) == {"waiting": 4}
    first, second, third, fourth = claim_all(clock, claim, 4)
    settle(first, "applied", code="applied")
    settle(second, "dead", code="DISABLED_LOGIN")
    settle(third, "transient", code="http_503")
    newer = [replace(wish, occurred_us=wish.occurred_us + 1, event_id="e9") for wish in wishes(4)]
    ledger.record([wish for wish in newer if wish.reference == fourth.reference])
    settle(fourth, "applied", code="applied")
    assert counts(bulk, job_id) == {"applied": 1, "dead": 1, "superseded": 1, "waiting": 1}
    assert bulk.get(job_id).status is JobStatus.RUNNING
    clock.ms += 60_000
    for claimed in claim_all(clock, claim, 2):
        settle(claimed, "applied", code="applied")
    assert counts(bulk, job_id) == {"applied": 2, "dead": 1, "superseded": 1}
    ended = bulk.get(job_id)
    assert (ended.status, ended.ended, ended.ended_at is None) == (JobStatus.FINISHED, 4, False)
    by_login = {one.login: one for one in bulk.report(job_id)}
    assert (by_login[second.reference].outcome, by_login[second.reference].code) == ("dead", "DISABLED_LOGIN")
    assert adds_up(ledger)
    (again,) = list_letters(letters)
    assert (again.login, again.id) == (second.reference, "dl-5")


@pytest.mark.parametrize(("verb", "note", "kept"), [("replay", "", "by Ann"), ("resolve", "by Bob", "by Bob")])
def test_a_note_on_a_letter_is_replaced_only_by_another_one(
    ledger: Ledger, bulk: BulkJobs, feeder: Feeder, dead: Any, letters: Letters, verb: str, note: str, kept: str
) -> None:
    dead(1)
    LetterChanges(ledger.redis).change(Act("dl-1", ANN, "note", "by Ann"), "note", "by Ann")
    start_job(bulk, verb, note=note)
    feeder.feed()
    assert (letters.get("dl-1").status, letters.get("dl-1").note) == (
        {"replay": "replayed"}.get(verb, "resolved"),
        kept,
    )


def test_a_letter_of_a_finished_job_that_is_replayed_again_does_not_change_its_report(
    clock: Clock, bulk: BulkJobs, feeder: Feeder, dead: Any, claim: Any, settle: Any, letters: Letters
) -> None:
    dead(1)
    first = start_job(bulk)
    feeder.feed()
    refuse(claim_all(clock, claim, 1), settle)
    (again,) = list_letters(letters)
    close(letters, again.id, "replayed", by="bob")
    assert (counts(bulk, first), bulk.get(first).status) == ({"dead": 1}, JobStatus.FINISHED)
    refuse(claim_all(clock, claim, 1), settle)
    second = start_job(bulk)
    feeder.feed()
    (claimed,) = claim_all(clock, claim, 1)
    settle(claimed, "applied", code="applied")
    assert (counts(bulk, first), counts(bulk, second)) == ({"dead": 1}, {"applied": 1})


def test_the_row_of_a_backfill_and_that_of_a_job_both_end_with_the_call(
    ledger: Ledger, clock: Clock, backfills: Backfills, bulk: BulkJobs, feeder: Feeder, start: Start, claim: Any,
    settle: Any, letters: Letters,
) -> None:  # fmt: skip
    backfill_id = start(["one", "two"])
    feeder.feed()
    refuse(claim_all(clock, claim, 2), settle)
    assert outcomes(backfills, backfill_id) == [RowOutcome.DEAD, RowOutcome.DEAD]
    assert {letter.backfill for letter in list_letters(letters)} == {backfill_id}
    job_id = start_job(bulk)
    feeder.feed()
    assert outcomes(backfills, backfill_id) == [RowOutcome.WAITING, RowOutcome.WAITING]
    first, second = claim_all(clock, claim, 2)
    settle(first, "applied", code="applied")
    settle(second, "dead", code="INVALID_LOGIN")
    assert sorted(outcomes(backfills, backfill_id)) == [RowOutcome.APPLIED, RowOutcome.DEAD]
    assert counts(bulk, job_id) == {"applied": 1, "dead": 1}
    (again,) = list_letters(letters)
    assert again.backfill == backfill_id, "the letter still names its backfill"
    close(letters, again.id, "replayed", by="bob")
    assert sorted(outcomes(backfills, backfill_id)) == [RowOutcome.APPLIED, RowOutcome.WAITING]
    assert counts(bulk, job_id) == {"applied": 1, "dead": 1}
    (claimed,) = claim_all(clock, claim, 1)
    settle(claimed, "applied", code="applied")
    assert outcomes(backfills, backfill_id) == [RowOutcome.APPLIED, RowOutcome.APPLIED]
    assert not ledger.redis.hexists(f"nightly:login:{claimed.reference}", "p")


def test_letters_that_a_newer_event_changed_are_superseded_and_never_called_with_an_old_wish(
    ledger: Ledger, bulk: BulkJobs, feeder: Feeder, dead: Any
) -> None:
    dead(2)
    job_id = start_job(bulk)
    newer = [replace(wish, occurred_us=wish.occurred_us + 1, event_id="e9", wants_active=False) for wish in wishes(1)]
    ledger.record(newer)
    feeder.feed()
    assert {one.login: one.outcome.value for one in bulk.report(job_id)} == {"lgn_0": "superseded", "lgn_1": "waiting"}
    assert ledger.redis.hget("nightly:login:lgn_0", "w") == b"0"
    assert tally(ledger, "replayed") == 1
    assert adds_up(ledger)


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


def test_a_cancelled_job_still_ends_the_rows_of_its_calls(
    ledger: Ledger, clock: Clock, bulk: BulkJobs, feeder: Feeder, dead: Any, claim: Any, settle: Any, letters: Letters
) -> None:
    dead(20)
    ledger.redis.hdel(f"nightly:rate:{INSTANCE}", "ceiling")  # the lane takes 16 rows while nothing is known
    job_id = start_job(bulk)
    assert feeder.feed() == 16
    bulk.cancel(job_id, by=ANN)
    assert feeder.feed() == 0
    assert counts(bulk, job_id) == {"waiting": 16, "cancelled": 4}
    assert bulk.get(job_id).ended_at is None
    for claimed in claim_all(clock, claim, 16):
        settle(claimed, "applied", code="applied")
    ended = bulk.get(job_id)
    assert (counts(bulk, job_id), ended.ended_at is None) == ({"applied": 16, "cancelled": 4}, False)
    assert len(list_letters(letters)) == 4
    with pytest.raises(OutOfDate, match=r"cancelled by now, so it cannot resume\. Nothing was done"):
        bulk.resume(job_id, by=ANN)
    assert [entry.action for entry in AuditLog(ledger.redis).entries()] == ["bulk.cancel", "bulk.run"]


def test_a_letter_whose_login_a_person_overwrote_does_not_stop_the_job(
    redis_client: Redis, clock: Clock, bulk: BulkJobs, feeder: Feeder
) -> None:
    file_letters(redis_client, ({"id": f"dl-{at}", "created_at": clock.ms - at} for at in range(3)))
    job_id = start_job(bulk)
    redis_client.set("nightly:login:lgn_dl-1", "mine")
    redis_client.delete("nightly:login:lgn_dl-2", "nightly:letter:dl-0")
    feeder.feed()
    found = [(one.outcome.value, one.code) for one in bulk.report(job_id)]
    assert found == [("closed", ""), ("failed", "unreadable"), ("superseded", "")]
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
