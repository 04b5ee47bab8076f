"""What each verb of a bulk job does, and which terms are refused."""

from typing import Any

import pytest
from redis import Redis

from tests.integration.ledger.bulk_parts import ALL, file_many, results
from tests.integration.ledger.conftest import INSTANCE, Clock
from tests.integration.ledger.many_letters import file_letter
from tests.integration.ledger.rejected import park
from tests.people import ANN
from worker.backfill.feeder import Feeder
from worker.backfill.job_models import LetterOutcome
from worker.backfill.store import Backfills
from worker.errors import InvalidAction, UnknownJob
from worker.ledger import Letters
from worker.ledger.letter_filter import LetterFilter
from worker.operations.bulk import BulkJobs
from worker.vault.vault import Vault


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
    assert results(bulk, job.id) == {"dl-1": "resolved"} | dict.fromkeys(["dl-2", "dl-3", "ev-1"], "not_applicable")
    assert [letters.get(each).status for each in ("dl-1", "dl-2", "ev-1")] == ["resolved", "open", "open"]


def test_letters_are_assigned_and_snoozed(redis_client: Redis, clock: Clock, bulk: BulkJobs, feeder: Feeder) -> None:
    file_many(redis_client, 2, clock)
    bulk.run(bulk.prepare("assign", ["dl-1"], by=ANN, owner="bob").id, by=ANN)
    feeder.feed()
    snooze = bulk.prepare("snooze", ["dl-1", "dl-2", "dl-1"], by=ANN, until_ms=clock.ms + 1000)
    bulk.run(snooze.id, by=ANN)
    feeder.feed()
    assert results(bulk, snooze.id) == {"dl-1": "snoozed", "dl-2": "snoozed"}
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
        ("assign", ALL, {"owner": "x" * 201}, "longer than 200"),
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
