"""An outage of Flinks: how it is detected, trial calls, and how calls resume."""

from itertools import pairwise
from typing import Any

import pytest

from tests.integration.ledger.conftest import (
    DOWN,
    INSTANCE,
    MINUTE_MS,
    Clock,
    causes,
    claim_all,
    fall_into_outage,
    gate,
    wishes,
)
from tests.people import ANN
from worker.config.gate_thresholds import GateRules
from worker.ledger import Ledger
from worker.ledger.gate_control import GateKeeper

FP = "proven-one"


SHARE = GateRules(outage_in_a_row=1000)


def test_an_outage_takes_half_of_at_least_twenty_calls(ledger: Ledger, clock: Clock, claim: Any, settle: Any) -> None:
    ledger.record(wishes(100))
    volley = claim_all(clock, claim, 41)
    for well in volley[:9]:
        settle(well, "applied", rules=SHARE)
    for failing in volley[9:19]:
        settle(failing, "transient", rules=SHARE, **DOWN)
    assert gate(ledger)["state"] == "open", "ten of nineteen"
    for well in volley[19:30]:
        settle(well, "applied", rules=SHARE)
    for failing in volley[30:39]:
        settle(failing, "transient", rules=SHARE, **DOWN)
    assert gate(ledger)["state"] == "open", "nineteen of thirty-nine"
    settle(volley[39], "transient", rules=SHARE, **DOWN)
    assert (gate(ledger)["state"], gate(ledger)["cause"]) == ("closed", "outage")
    assert gate(ledger)["detail"] == "20 of the last 40 calls failed"
    assert claim().state == "closed"


def test_ten_logins_in_a_row_are_an_outage_at_any_pace(ledger: Ledger, clock: Clock, claim: Any, settle: Any) -> None:
    ledger.record(wishes(100))
    for number in range(10):
        assert gate(ledger)["state"] == "open", f"after {number}"
        clock.ms += 10 * MINUTE_MS
        (failing,) = claim(at_most=1).claims
        settle(failing, "transient", code="http_503", flags="d", delay_seconds=10**6)
    assert gate(ledger)["detail"] == "10 calls in a row failed"
    clock.ms += 5_000
    settle(claim().claims[0], "applied")
    clock.ms += 10**9
    assert {one.failures for one in claim_all(clock, claim, 99)} == {0}, "not charged, however long ago they failed"


def test_one_success_restarts_the_count_in_a_row(ledger: Ledger, clock: Clock, claim: Any, settle: Any) -> None:
    ledger.record(wishes(100))
    for number in range(30):
        clock.ms += MINUTE_MS
        (one,) = claim(at_most=1).claims
        if number % 10 == 9:
            settle(one, "applied")
        else:
            settle(one, "transient", code="http_503", flags="d", delay_seconds=10**6)
    assert gate(ledger)["state"] == "open"


def test_logins_that_always_fail_are_no_new_sign_and_are_charged(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(9))
    for attempt in range(20):
        for failing in claim_all(clock, claim, 9):
            assert failing.failures == attempt
            settle(failing, "transient", **DOWN)
    assert causes(ledger) == []


def test_the_trial_call_is_for_a_login_without_failures(ledger: Ledger, clock: Clock, claim: Any, settle: Any) -> None:
    ledger.record(wishes(11))
    for failing in claim_all(clock, claim, 10):
        settle(failing, "transient", **DOWN)
    clock.ms += 5_000
    (probe,) = claim().claims
    assert probe.failures == 0
    assert not ledger.redis.hexists(f"nightly:login:{probe.reference}", "d")


def test_failures_with_a_flinks_code_are_no_outage(ledger: Ledger, clock: Clock, claim: Any, settle: Any) -> None:
    ledger.record(wishes(100))
    for busy in claim_all(clock, claim, 60):
        settle(busy, "transient", code="BANK_RETRY_LATER", delay_seconds=60)
    assert gate(ledger)["state"] == "open"


def test_failures_are_forgotten_when_the_window_has_passed(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(100))
    for _ in range(2):
        for failing in claim_all(clock, claim, 19):
            settle(failing, "transient", code="http_503", flags="d", delay_seconds=3600, rules=SHARE)
        clock.ms += 10_000
    assert gate(ledger)["state"] == "open"


def test_the_caller_sets_the_thresholds(ledger: Ledger, clock: Clock, claim: Any, settle: Any) -> None:
    ledger.record(wishes(10))
    rules = GateRules(outage_ratio=1, outage_min_calls=3, outage_window_seconds=60)
    for failing in claim_all(clock, claim, 2):
        settle(failing, "transient", rules=rules, **DOWN)
    clock.ms += 30_000
    assert gate(ledger)["state"] == "open"
    (third,) = claim(at_most=1).claims
    settle(third, "transient", rules=rules, **DOWN)
    assert gate(ledger)["state"] == "closed"


def test_trial_calls_of_an_outage_wait_5_10_20_40_and_then_60_seconds(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(100))
    fall_into_outage(clock, claim, settle)
    waits, since = [], clock.ms
    for _ in range(6):
        while True:
            clock.ms += 500
            reply = claim()
            if reply.claims:
                break
            assert reply.state == "closed"
        (probe,) = reply.claims
        waits.append((clock.ms - since) / 1000)
        assert (claim().state, gate(ledger)["state"]) == ("canary", "half_open")
        settle(probe, "transient", **DOWN)
        since = clock.ms
    assert waits == [5, 10, 20, 40, 60, 60]
    assert gate(ledger)["probes"] == 6
    assert causes(ledger) == [("closed", "outage")], "a failed trial call is no change"


def test_a_trial_call_whose_worker_was_killed_is_replaced(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(100))
    fall_into_outage(clock, claim, settle)
    clock.ms += 5_000
    assert len(claim().claims) == 1
    assert ledger.pulse({INSTANCE: FP}).due == 0, "no reconciler is asked for during the trial call"
    clock.ms += 15_001
    assert ledger.pulse({INSTANCE: FP}).due > 0
    assert len(claim().claims) == 1


@pytest.mark.parametrize("outcome", ["applied", "dead", "throttled", "transient"])
def test_any_usable_flinks_response_ends_the_outage(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any, outcome: str
) -> None:
    ledger.record(wishes(100))
    fall_into_outage(clock, claim, settle)
    clock.ms += 5_000
    (probe,) = claim().claims
    settle(probe, outcome, code="CARD_IN_USE", delay_seconds=60)
    assert causes(ledger) == [("closed", "outage"), ("open", "Flinks answers again")]


def test_an_outage_needs_action_once_it_has_lasted_for_15_minutes(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(100))
    fall_into_outage(clock, claim, settle)
    assert (gate(ledger)["state"], gate(ledger)["needs_action"]) == ("closed", False)
    clock.ms += 15 * MINUTE_MS - 1
    assert not gate(ledger)["needs_action"]
    clock.ms += 1
    assert gate(ledger)["needs_action"]


def test_after_an_outage_the_gate_is_open_since_its_end_and_not_since_an_earlier_change(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    GateKeeper(ledger.redis, now_ms=clock).close(INSTANCE, by=ANN, reason="maintenance")
    GateKeeper(ledger.redis, now_ms=clock).open(INSTANCE, by=ANN)
    clock.ms += 60 * MINUTE_MS
    ledger.record(wishes(100))
    (first,) = claim().claims
    settle(first, "applied")
    clock.ms += MINUTE_MS
    fall_into_outage(clock, claim, settle)
    clock.ms += 5_000
    (probe,) = claim().claims
    settle(probe, "applied")
    about = gate(ledger)
    assert (about["state"], about["changed_at"], about["cause"]) == ("open", clock.ms, "Flinks answers again")
    assert not {"by", "detail"} & about.keys()


def test_an_unsent_trial_call_decides_nothing_and_the_next_is_made_at_once(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(100))
    fall_into_outage(clock, claim, settle)
    clock.ms += 5_000
    (probe,) = claim().claims
    settle(probe, "unsent")
    assert gate(ledger)["state"] == "closed"
    clock.ms += 10
    assert len(claim().claims) == 1


def test_calls_resume_with_a_ramp_and_reach_the_ceiling(ledger: Ledger, clock: Clock, claim: Any, settle: Any) -> None:
    ledger.record(wishes(5000))
    fall_into_outage(clock, claim, settle)
    clock.ms += 5_000
    (probe,) = claim().claims
    settle(probe, "applied")

    def calls_in_a_second() -> int:
        taken = 0
        for _ in range(100):
            clock.ms += 10
            for one in claim(calls_per_second=100).claims:
                settle(one, "applied", calls_per_second=100)
                taken += 1
        return taken

    each_second = [calls_in_a_second() for _ in range(24)]
    assert each_second[0] <= 6
    assert all(later <= earlier + 7 for earlier, later in pairwise(each_second)), "no jump"
    assert each_second[5] < 40
    assert each_second[-1] in range(95, 102)
