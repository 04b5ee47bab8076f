"""Rows are fed only if the feeder's configuration may call, by the same rule as a claim."""

from typing import Any

from tests.integration.ledger.conftest import (
    FINGERPRINTS,
    INSTANCE,
    Clock,
    Start,
    fall_into_outage,
    gate,
    wishes,
)
from worker.backfill.feeder import Feeder
from worker.backfill.store import Backfills
from worker.ledger import Ledger
from worker.vault.vault import Vault


def test_a_backfill_continues_though_another_configuration_shut_the_gate(
    backfills: Backfills,
    feeder: Feeder,
    vault: Vault,
    start: Start,
    ledger: Ledger,
    clock: Clock,
    claim: Any,
    settle: Any,
) -> None:
    backfill_id = start([f"login-{at}" for at in range(3)], rate=0.5)
    feeder.feed()
    (refused,) = claim(fingerprint="mistyped").claims
    settle(refused, "halt", fingerprint="mistyped", code="ACCESS_DENIED")
    clock.ms += 1000
    settle(claim().claims[0], "dead", code="DISABLED_LOGIN")
    assert gate(ledger)["cause"] == "halt"
    clock.ms += 10_000
    assert Feeder(backfills, vault, {INSTANCE: "mistyped"}).feed() == 0
    assert ledger.pulse(FINGERPRINTS, worker="w", slots=2).should_feed
    assert feeder.feed() == 1
    settle(claim().claims[0], "applied", code="applied")
    assert gate(ledger)["state"] == "open"
    assert backfills.get(backfill_id).counts["applied"] == 1


def test_in_an_outage_rows_are_fed_only_when_a_trial_call_may_be_made(
    feeder: Feeder, start: Start, ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(20))
    fall_into_outage(clock, claim, settle)
    ledger.redis.delete(f"nightly:due:{INSTANCE}:live")
    start(["one", "two"])
    assert feeder.feed() == 0
    clock.ms += 5000
    assert feeder.feed() == 2


def test_a_feeder_leaves_the_backfills_of_instances_that_it_does_not_call(
    backfills: Backfills, vault: Vault, start: Start
) -> None:
    start(["one"], instance="acme")
    assert Feeder(backfills, vault, {INSTANCE: "proven-one"}).feed() == 0
    assert Feeder(backfills, vault, FINGERPRINTS).feed() == 1
