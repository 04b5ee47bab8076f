"""The outcome of a row: it ends once, as the wish of its login does."""

from collections.abc import Callable
from typing import Any

import pytest

from tests import ledger_calls
from tests.integration.ledger.conftest import INSTANCE, Clock, Start, claim_all, live, outcomes, take_back, tally
from tests.people import ANN
from worker.backfill.feeder import Feeder
from worker.backfill.models import Row, RowOutcome, RowResult, Status
from worker.backfill.store import Backfills
from worker.errors import UnknownBackfill
from worker.ledger import Ledger, Letters, Wish
from worker.ledger.queries import Views
from worker.vault.vault import Vault

DAY_MS = 86_400_000
APPLIED, WAITING, DUPLICATE = RowOutcome.APPLIED, RowOutcome.WAITING, RowOutcome.DUPLICATE
SUPERSEDED, ALREADY, INVALID, DEAD = RowOutcome.SUPERSEDED, RowOutcome.ALREADY, RowOutcome.INVALID, RowOutcome.DEAD


@pytest.fixture
def apply(ledger: Ledger, claim: Any, settle: Any) -> Callable[[Wish], None]:
    """Record a live event, and confirm its call."""

    def apply(event: Wish) -> None:
        ledger.record([event])
        settle(claim(calls_per_second=1000).claims[0], "applied", code="applied")

    return apply


def test_a_row_is_called_as_a_wish_of_its_as_of_and_ends_when_confirmed(
    backfills: Backfills, feeder: Feeder, start: Start, clock: Clock, vault: Vault, claim: Any, settle: Any
) -> None:
    backfill_id = start(["one"])
    assert feeder.feed() == 1
    (call,) = claim(calls_per_second=1000).claims
    assert (vault.open_login(call.reference, call.sealed), call.wants_active) == ("one", True)
    assert outcomes(backfills, backfill_id) == [WAITING]
    clock.ms += 1500
    settle(call, "applied", code="applied")
    assert backfills.results(backfill_id, 0, 9) == [RowResult(APPLIED, "", clock.ms // 1000 * 1000)]
    found = backfills.get(backfill_id)
    assert (found.status, found.ended_at, found.counts["applied"]) == (Status.FINISHED, clock.ms, 1)


def test_an_unusual_success_keeps_its_code(
    backfills: Backfills, feeder: Feeder, start: Start, claim: Any, settle: Any
) -> None:
    backfill_id = start(["one", "two", "three"])
    feeder.feed()
    for call, code in zip(claim(calls_per_second=1000).claims, ["unconfirmed", "applied", "unconfirmed"], strict=True):
        settle(call, "applied", code=code)
    codes = sorted(one.code for one in backfills.results(backfill_id, 0, 3))
    assert codes == ["", "unconfirmed", "unconfirmed"]


@pytest.mark.parametrize("ahead_us", [0, 1])
def test_a_newer_event_wins_over_a_row_and_an_older_one_does_not(
    backfills: Backfills, feeder: Feeder, start: Start, ledger: Ledger, clock: Clock, vault: Vault, ahead_us: int
) -> None:
    as_of_us = clock.ms * 1000
    ledger.record([live(vault, "one", as_of_us - 1 + 2 * ahead_us, on=False)])
    backfill_id = start(["one"])
    feeder.feed()
    assert outcomes(backfills, backfill_id) == [SUPERSEDED if ahead_us else WAITING]
    assert tally(ledger, "recorded") == 2
    assert tally(ledger, "superseded") == 1


@pytest.mark.parametrize("is_in_flight", [False, True])
def test_a_live_event_for_a_waiting_row_supersedes_it_and_goes_first(
    backfills: Backfills,
    feeder: Feeder,
    start: Start,
    ledger: Ledger,
    clock: Clock,
    vault: Vault,
    claim: Any,
    settle: Any,
    *,
    is_in_flight: bool,
) -> None:
    backfill_id = start(["one"])
    feeder.feed()
    flights = claim(calls_per_second=1000).claims if is_in_flight else []
    ledger.record([live(vault, "one", clock.ms * 1000 + 1, on=False)])
    assert outcomes(backfills, backfill_id) == [SUPERSEDED]
    assert ledger.redis.zcard(f"nightly:due:{INSTANCE}:backfill") == 0
    for call in flights:
        settle(call, "applied", code="applied")
    assert outcomes(backfills, backfill_id) == [SUPERSEDED]
    assert backfills.get(backfill_id).status is Status.FINISHED
    assert not ledger.redis.hexists(f"nightly:login:{vault.reference(INSTANCE, 'one')}", "p")


def test_a_login_with_the_same_wish_needs_no_call_unless_the_backfill_reasserts(
    backfills: Backfills,
    feeder: Feeder,
    start: Start,
    ledger: Ledger,
    clock: Clock,
    vault: Vault,
    apply: Callable[[Wish], None],
    claim: Any,
    settle: Any,
) -> None:
    apply(live(vault, "one", clock.ms * 1000 - 10, on=True))
    first = start(["one", "one"])
    feeder.feed()
    assert outcomes(backfills, first) == [ALREADY, DUPLICATE]
    assert backfills.get(first).status is Status.FINISHED
    assert tally(ledger, "recorded") == 1
    older = live(vault, "one", clock.ms * 1000 - 5, on=False)
    assert [str(one) for one in ledger.record([older])] == ["superseded"], (
        "the wish has moved on to the backfill's time"
    )
    clock.ms += 1000
    second = start(["one"], reassert=True)
    feeder.feed()
    assert outcomes(backfills, second) == [WAITING]
    settle(claim(calls_per_second=1000).claims[0], "applied", code="applied")
    assert outcomes(backfills, second) == [APPLIED]


def test_a_row_without_a_call_is_a_confirmed_revision_with_its_account(
    backfills: Backfills, feeder: Feeder, start: Start, ledger: Ledger, clock: Clock, vault: Vault, apply: Any
) -> None:
    event = live(vault, "one", clock.ms * 1000 - 10, on=False)
    apply(event)
    backfill = backfills.create(instance=INSTANCE, wish="off", as_of_us=clock.ms * 1000)
    backfills.put_chunk(backfill.id, 0, [Row(2, "one", "cust-9")], "")
    backfills.commit(backfill.id, "d", by=ANN)
    feeder.feed()
    found = Views(ledger.redis, now_ms=clock).login(event.reference)
    assert found is not None
    assert (found["revision"], found["confirmed_revision"], found["account_id"]) == (2, 2, "cust-9")
    assert (found["state"], found["event_id"]) == ("applied", f"{backfill.id}:0")
    start(["one"], wish="off", as_of_us=clock.ms * 1000 + 1)
    feeder.feed()
    assert ledger.redis.hget(f"nightly:login:{event.reference}", "a") == b"cust-9", (
        "an event without an account id keeps it"
    )


def test_a_dead_row_has_its_code_and_waits_again_when_its_letter_is_replayed(
    backfills: Backfills, feeder: Feeder, start: Start, ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    backfill_id = start(["one", "two"])
    feeder.feed()
    letters = Letters(ledger.redis, now_ms=clock)
    dies, lives = claim(calls_per_second=1000).claims
    settle(dies, "dead", code="DISABLED_LOGIN", http_status=401)
    settle(lives, "applied", code="applied")
    key = f"nightly:backfill:{backfill_id}"
    results = backfills.results(backfill_id, 0, 2)
    assert sorted((str(one.outcome), one.code) for one in results) == [("applied", ""), ("dead", "DISABLED_LOGIN")]
    assert backfills.get(backfill_id).status is Status.FINISHED
    assert 29 * DAY_MS < ledger.redis.pttl(key) <= 30 * DAY_MS
    ledger_calls.close(letters, ledger_calls.list_letters(letters)[0].id, "replayed", by="ann")
    waits = backfills.get(backfill_id)
    assert (waits.status, waits.ended_at, waits.counts["waiting"], waits.counts["dead"]) == (Status.RUNNING, None, 1, 0)
    assert [ledger.redis.pttl(name) for name in (key, f"{key}:chunks", f"{key}:rows")] == [-1, -1, -1]
    settle(claim(calls_per_second=1000).claims[0], "applied", code="applied")
    assert outcomes(backfills, backfill_id) == [APPLIED, APPLIED]
    assert backfills.get(backfill_id).status is Status.FINISHED


def test_dead_rows_keep_their_own_codes_and_only_a_replayed_one_waits_again(
    backfills: Backfills, feeder: Feeder, start: Start, ledger: Ledger, claim: Any, settle: Any, vault: Vault
) -> None:
    backfill_id = start(["one", "two", "three"])
    feeder.feed()
    codes = {vault.reference(INSTANCE, "two"): "DISABLED_LOGIN", vault.reference(INSTANCE, "three"): "LOCKED_LOGIN"}
    for call in claim(calls_per_second=1000).claims:
        settle(call, "dead", code=codes.get(call.reference, "INVALID_LOGIN"))
    dead = backfills.results(backfill_id, 0, 3)
    assert [one.code for one in dead] == ["INVALID_LOGIN", "DISABLED_LOGIN", "LOCKED_LOGIN"]
    letters = Letters(ledger.redis)
    ledger_calls.close(letters, ledger_calls.list_letters(letters, code="LOCKED_LOGIN")[0].id, "replayed", by="ann")
    assert outcomes(backfills, backfill_id) == [DEAD, DEAD, WAITING]
    assert backfills.results(backfill_id, 0, 2) == dead[:2]
    assert ledger.redis.sismember("nightly:backfills:running", backfill_id)


def test_a_cancelled_backfill_whose_dead_row_is_replayed_stays_cancelled(
    backfills: Backfills, feeder: Feeder, start: Start, ledger: Ledger, claim: Any, settle: Any
) -> None:
    backfill_id = start(["one"])
    feeder.feed()
    (call,) = claim().claims
    backfills.cancel(backfill_id, by=ANN)
    settle(call, "dead", code="DISABLED_LOGIN")
    letters = Letters(ledger.redis)
    ledger_calls.close(letters, ledger_calls.list_letters(letters)[0].id, "replayed", by="ann")
    assert backfills.get(backfill_id).status is Status.CANCELLED
    assert outcomes(backfills, backfill_id) == [WAITING]


def test_a_row_whose_workers_die_ten_times_is_dead(
    backfills: Backfills, feeder: Feeder, start: Start, ledger: Ledger, clock: Clock, claim: Any
) -> None:
    backfill_id = start(["one"])
    feeder.feed()
    for _ in range(10):
        clock.ms += 3_600_001
        assert claim(calls_per_second=1000, settle_seconds=1).claims
        clock.ms += 15_001
        take_back(ledger)
    assert backfills.results(backfill_id, 0, 1)[0].code == "retries_exhausted"


def test_outcomes_of_rows_of_a_deleted_backfill_are_not_stored(
    backfills: Backfills, feeder: Feeder, start: Start, ledger: Ledger, claim: Any, settle: Any
) -> None:
    backfill_id = start(["one"])
    feeder.feed()
    ledger.redis.delete(*ledger.redis.keys("nightly:backfill:*"))
    settle(claim(calls_per_second=1000).claims[0], "applied", code="applied")
    assert ledger.redis.keys("nightly:backfill:*") == []
    with pytest.raises(UnknownBackfill):
        backfills.results(backfill_id, 0, 1)


def test_a_letter_names_the_backfill_whose_row_made_its_wish(
    feeder: Feeder, start: Start, ledger: Ledger, clock: Clock, vault: Vault, claim: Any, settle: Any
) -> None:
    backfill = start(["one"])
    feeder.feed()
    ledger.record([live(vault, "two", clock.ms * 1000, on=True)])
    for call in claim_all(clock, claim, 2):
        settle(call, "dead", code="LOCKED_LOGIN")
    named = {letter.login: letter.backfill for letter in ledger_calls.list_letters(Letters(ledger.redis))}
    assert named == {vault.reference(INSTANCE, "one"): backfill, vault.reference(INSTANCE, "two"): ""}
