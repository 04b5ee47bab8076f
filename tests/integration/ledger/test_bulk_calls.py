"""Bulk jobs and the calls of their letters: a row ends with the call, and the tally still adds up."""

from dataclasses import replace
from typing import Any

import pytest

from tests.integration.ledger.bulk_parts import counts, start_job
from tests.integration.ledger.conftest import (
    FINGERPRINTS,
    INSTANCE,
    Clock,
    Start,
    claim_all,
    outcomes,
    refuse,
    tally,
    wishes,
)
from tests.integration.ledger.world import ENDED
from tests.ledger_calls import close, list_letters
from tests.people import ANN
from worker.backfill.feeder import Feeder
from worker.backfill.job_models import JobStatus
from worker.backfill.models import RowOutcome
from worker.backfill.store import Backfills
from worker.errors import OutOfDate
from worker.ledger import Ledger, Letters
from worker.ledger.audit import AuditLog
from worker.ledger.letter_changes import Act, LetterChanges
from worker.operations.bulk import BulkJobs


@pytest.fixture
def dead(ledger: Ledger, clock: Clock, claim: Any, settle: Any) -> Any:
    """Make this many logins dead letters, by the events and calls that do so."""

    def dead(count: int, code: str = "DISABLED_LOGIN") -> None:
        ledger.record(wishes(count))
        for claimed in claim_all(clock, claim, count):
            settle(claimed, "dead", code=code, http_status=401)
        clock.ms += 1000

    return dead


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
    assert ledger.redis.hget("nightly:login:lgn_0", "w").split(b":")[1] == b"0"
    assert tally(ledger, "replayed") == 1
    assert adds_up(ledger)


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
