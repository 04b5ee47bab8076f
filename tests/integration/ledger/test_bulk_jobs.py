"""Bulk jobs before and beside their work: the frozen list, the preflight, who may start, and what the report says."""

import threading
from typing import Any

import pytest
from redis import Redis

from tests.integration.ledger.conftest import INSTANCE, Clock
from tests.integration.ledger.many_letters import file_letter, file_letters
from tests.integration.ledger.rejected import park
from tests.ledger_calls import close
from tests.people import ANN, BOB
from worker.backfill import job_list
from worker.backfill.feeder import Feeder
from worker.backfill.job_models import JobStatus, LetterOutcome
from worker.backfill.job_store import Jobs
from worker.backfill.store import Backfills
from worker.errors import InvalidAction, OutOfDate, UnknownJob, UnknownLetter
from worker.ledger import Letters
from worker.ledger.audit import Actor, AuditLog
from worker.ledger.gate_control import GateKeeper
from worker.ledger.letter_filter import LetterFilter
from worker.operations.bulk import BulkJobs
from worker.vault.vault import Vault

ALL = LetterFilter()


@pytest.fixture
def bulk(redis_client: Redis, clock: Clock) -> BulkJobs:
    redis_client.hset(f"nightly:configs:{INSTANCE}", "proven-one", "proven")
    return BulkJobs(redis_client, calls_per_second=10, now_ms=clock)


@pytest.fixture
def letters(redis_client: Redis, clock: Clock) -> Letters:
    return Letters(redis_client, now_ms=clock)


@pytest.fixture
def feeder(redis_client: Redis, vault: Vault, clock: Clock) -> Feeder:
    """A feeder that may call for every instance."""
    backfills = Backfills(redis_client, vault, now_ms=clock)
    return Feeder(backfills, vault, {INSTANCE: "proven-one", "acme": "x"}, jobs=Jobs(redis_client, now_ms=clock))


def file_many(client: Redis, count: int, clock: Clock, **changes: Any) -> None:
    file_letters(client, ({"id": f"dl-{at}", "created_at": clock.ms - at} | changes for at in range(1, count + 1)))


def outcomes(bulk: BulkJobs, job_id: str) -> dict[str, str]:
    return {one.letter: one.outcome.value for one in bulk.report(job_id)}


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
    assert outcomes(bulk, job.id) == {"dl-1": "resolved", "dl-2": "closed", "dl-3": "resolved"}
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


def test_nothing_left_is_only_for_deactivations_of_logins_that_flinks_does_not_know(
    redis_client: Redis, clock: Clock, bulk: BulkJobs, letters: Letters, feeder: Feeder
) -> None:
    file_letter(redis_client, "dl-1", clock.ms - 1, wish="off")
    file_letter(redis_client, "dl-2", clock.ms - 2, wish="on")
    file_letter(redis_client, "dl-3", clock.ms - 3, wish="off", code="DISABLED_LOGIN")
    park(letters)
    job = bulk.prepare("nothing_left", ["dl-1", "dl-2", "dl-3", "ev-1"], by=ANN)
    found = bulk.preflight(job.id)
    assert (found.changed, found.not_applicable) == (1, 3)
    bulk.run(job.id, by=ANN)
    feeder.feed()
    assert outcomes(bulk, job.id) == {"dl-1": "resolved"} | dict.fromkeys(["dl-2", "dl-3", "ev-1"], "not_applicable")
    assert [letters.get(each).status for each in ("dl-1", "dl-2", "ev-1")] == ["resolved", "open", "open"]


def test_letters_are_assigned_and_snoozed(redis_client: Redis, clock: Clock, bulk: BulkJobs, feeder: Feeder) -> None:
    file_many(redis_client, 2, clock)
    bulk.run(bulk.prepare("assign", ["dl-1"], by=ANN, owner="bob").id, by=ANN)
    feeder.feed()
    snooze = bulk.prepare("snooze", ["dl-1", "dl-2", "dl-1"], by=ANN, until_ms=clock.ms + 1000)
    bulk.run(snooze.id, by=ANN)
    feeder.feed()
    assert outcomes(bulk, snooze.id) == {"dl-1": "snoozed", "dl-2": "snoozed"}
    assert bulk.get(snooze.id).counts[LetterOutcome.SNOOZED] == 2
    assert bulk.prepare("resolve", LetterFilter(owner="bob", state="snoozed"), by=ANN, note="x").total == 1


@pytest.mark.parametrize(
    ("verb", "selection", "terms", "words"),
    [
        ("erase", ALL, {}, "the verb is none of"),
        ("resolve", ALL, {}, "Give a note"),
        ("replay", LetterFilter(code="OTHER"), {}, "No dead letter matches"),
        ("replay", [], {}, "No dead letter matches"),
        ("snooze", ALL, {"until_ms": 5}, "in the next 366 days"),
        ("snooze", ALL, {"until_ms": 253_402_300_799_000}, "in the next 366 days"),
        ("snooze", ALL, {}, "in the next 366 days"),
        ("assign", ALL, {"owner": "x" * 201}, "longer than 100"),
        ("resolve", ALL, {"note": "x" * 2001}, "longer than 2,000"),
    ],
)
def test_a_job_with_wrong_terms_is_refused(
    redis_client: Redis, clock: Clock, bulk: BulkJobs, verb: str, selection: Any, terms: dict[str, Any], words: str
) -> None:
    file_many(redis_client, 1, clock)
    with pytest.raises(InvalidAction, match=words):
        bulk.prepare(verb, selection, by=ANN, **terms)
    assert not redis_client.keys("nightly:backfill:*")


def test_a_note_that_looks_like_it_holds_a_login_id_is_masked(
    redis_client: Redis, clock: Clock, bulk: BulkJobs, feeder: Feeder
) -> None:
    secret = "5e1f0aaa-1111-4222-8333-c0ffee00c0de"
    file_many(redis_client, 1, clock)
    bulk.run(bulk.prepare("resolve", ALL, by=ANN, note=f"it is {secret}").id, by=ANN)
    feeder.feed()
    assert redis_client.hget("nightly:letter:dl-1", "status") == b"resolved"
    stored = b" ".join(redis_client.dump(key) for key in redis_client.keys("*"))
    assert secret.encode() not in stored


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
    assert set(outcomes(bulk, second.id).values()) == {"waiting"}


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


def test_a_backfill_is_no_bulk_job_and_a_bulk_job_is_no_backfill(
    redis_client: Redis, clock: Clock, bulk: BulkJobs, vault: Vault
) -> None:
    file_many(redis_client, 1, clock)
    backfills = Backfills(redis_client, vault, now_ms=clock)
    backfill = backfills.create(instance=INSTANCE, wish="on", as_of_us=clock.ms * 1000)
    job = bulk.run(bulk.prepare("replay", ALL, by=ANN).id, by=ANN)
    with pytest.raises(UnknownJob):
        bulk.get(backfill.id)
    assert [one.id for one in backfills.all()] == [backfill.id]
    assert backfills.running() == []
    assert [one.id for one in bulk.list()] == [job.id]


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
