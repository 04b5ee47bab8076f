"""Rows that assert their login's own wish again: the outcome depends on the state of the login."""

from typing import Any

import pytest

from tests import ledger_calls
from tests.integration.ledger.conftest import Clock, Start, live, outcomes, tally
from worker.backfill.feeder import Feeder
from worker.backfill.models import Asks, RowOutcome, Status
from worker.backfill.store import Backfills
from worker.ledger import Ledger, Letters
from worker.vault.vault import Vault

APPLIED, WAITING, DUPLICATE = RowOutcome.APPLIED, RowOutcome.WAITING, RowOutcome.DUPLICATE
SUPERSEDED, INVALID, DEAD = RowOutcome.SUPERSEDED, RowOutcome.INVALID, RowOutcome.DEAD


def test_as_is_calls_an_applied_login_again_with_its_own_wish_and_time(
    backfills: Backfills,
    feeder: Feeder,
    start: Start,
    ledger: Ledger,
    clock: Clock,
    vault: Vault,
    claim: Any,
    settle: Any,
) -> None:
    event = live(vault, "one", clock.ms * 1000 - 10, on=False)
    ledger.record([event])
    settle(claim(calls_per_second=1000).claims[0], "applied", code="applied")
    backfill_id = start(["one", "nobody", "one"], wish=Asks.AS_IS)
    feeder.feed()
    assert outcomes(backfills, backfill_id) == [WAITING, INVALID, DUPLICATE]
    assert backfills.results(backfill_id, 1, 1)[0].code == "unknown_login"
    assert [str(one) for one in ledger.record([event])] == ["duplicate"], "its event is unchanged"
    again = {call.reference: call for call in claim(calls_per_second=1000).claims}[event.reference]
    assert (again.wants_active, again.revision) == (False, 2)
    settle(again, "applied", code="applied")
    assert outcomes(backfills, backfill_id)[0] is APPLIED
    assert tally(ledger, "applied_off") == 1, "an event is counted once"


@pytest.mark.parametrize("state", ["waits", "is in flight"])
def test_as_is_the_row_of_a_waiting_or_in_flight_login_ends_with_its_call(
    backfills: Backfills,
    feeder: Feeder,
    start: Start,
    ledger: Ledger,
    clock: Clock,
    vault: Vault,
    claim: Any,
    settle: Any,
    state: str,
) -> None:
    ledger.record([live(vault, "one", clock.ms * 1000, on=True)])
    if state == "waits":
        settle(claim().claims[0], "transient", code="CARD_IN_USE", delay_seconds=60)
    flights = claim().claims
    backfill_id = start(["one", "one"], wish=Asks.AS_IS)
    feeder.feed()
    assert outcomes(backfills, backfill_id) == [WAITING, DUPLICATE]
    clock.ms += 60_000
    settle((flights or claim().claims)[0], "applied", code="applied")
    assert outcomes(backfills, backfill_id) == [APPLIED, DUPLICATE]
    assert backfills.get(backfill_id).status is Status.FINISHED
    assert (tally(ledger, "recorded"), tally(ledger, "applied_on")) == (1, 1)


def test_as_is_a_dead_login_is_reported_dead_and_its_row_waits_again_when_the_letter_is_replayed(
    backfills: Backfills,
    feeder: Feeder,
    start: Start,
    ledger: Ledger,
    clock: Clock,
    vault: Vault,
    claim: Any,
    settle: Any,
) -> None:
    ledger.record([live(vault, "one", clock.ms * 1000, on=True)])
    settle(claim().claims[0], "dead", code="DISABLED_LOGIN")
    backfill_id = start(["one"], wish=Asks.AS_IS)
    feeder.feed()
    (result,) = backfills.results(backfill_id, 0, 1)
    assert (result.outcome, result.code) == (DEAD, "DISABLED_LOGIN")
    assert backfills.get(backfill_id).status is Status.FINISHED
    letters = Letters(ledger.redis, now_ms=clock)
    ledger_calls.close(letters, ledger_calls.list_letters(letters)[0].id, "replayed", by="ann")
    assert outcomes(backfills, backfill_id) == [WAITING]
    clock.ms += 1000
    settle(claim().claims[0], "applied", code="applied")
    assert outcomes(backfills, backfill_id) == [APPLIED]


def test_as_is_takes_over_a_waiting_login_of_an_older_backfill(
    backfills: Backfills, feeder: Feeder, start: Start, claim: Any, settle: Any
) -> None:
    older = start(["one"])
    feeder.feed()
    newer = start(["one"], wish=Asks.AS_IS)
    feeder.feed()
    assert (outcomes(backfills, older), outcomes(backfills, newer)) == ([SUPERSEDED], [WAITING])
    settle(claim().claims[0], "applied", code="applied")
    assert (outcomes(backfills, older), outcomes(backfills, newer)) == ([SUPERSEDED], [APPLIED])
