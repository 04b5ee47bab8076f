"""What code of schema 3 wrote is read: a claim, and a confirmed call, were several fields then."""

from typing import Any

from tests.integration.ledger.conftest import Clock, Start, live, outcomes, tally
from worker.backfill.feeder import Feeder
from worker.backfill.model import RowOutcome
from worker.backfill.store import Backfills
from worker.ledger import Ledger, Settled
from worker.seal import Vault


def test_a_flight_is_settled_by_its_claim(ledger: Ledger, clock: Clock, vault: Vault, claim: Any, settle: Any) -> None:
    event = live(vault, "one", clock.ms * 1000 - 10, on=True)
    key = f"nightly:login:{event.reference}"
    ledger.record([event])
    (call,) = claim().claims
    held = ledger.redis.hget(key, "c")
    assert held is not None
    ledger.redis.hset(key, mapping=dict(zip(("c", "cw", "y", "o"), held.split(b":"), strict=True)))
    assert settle(call, "applied", code="applied") is Settled.APPLIED
    assert tally(ledger, "applied_on") == 1


def test_a_row_of_a_login_that_is_as_wished_costs_no_call(
    backfills: Backfills,
    feeder: Feeder,
    start: Start,
    ledger: Ledger,
    clock: Clock,
    vault: Vault,
    claim: Any,
    settle: Any,
) -> None:
    event = live(vault, "one", clock.ms * 1000 - 10, on=True)
    ledger.record([event])
    settle(claim().claims[0], "applied", code="applied")
    assert ledger.redis.hdel(f"nightly:login:{event.reference}", "C") == 1
    backfill_id = start(["one"])
    feeder.feed()
    assert outcomes(backfills, backfill_id) == [RowOutcome.ALREADY]
