"""The settlement of a call, for every possible outcome."""

import json
from dataclasses import replace
from typing import Any

import pytest

from worker.flinks.outcome import Outcome, Verdict
from worker.ledger import Claim, Settled, Settlement
from worker.ledger.history import read_lines
from worker.reconciler.retry_policy import RetryLimits
from worker.reconciler.settlement import DISTRUST_SECONDS, Call, log_fields, settlement_of, unsent

LIMITS = RetryLimits(max_attempts=5, max_age_seconds=3600, settle_seconds=20)
CLAIM = Claim(
    reference="lgn_a",
    number=7,
    revision=3,
    wants_active=True,
    sealed=b"sealed",
    failures=0,
    first_failure_ms=None,
    account_id="cust-42",
)
CALL = Call(CLAIM, claimed_at_ms=1_000_000, seconds=0.12345, worker="w1")


def settled(verdict: Verdict, *, drawn: float = 0.5, seconds: float = 0.12345, **claim: Any) -> Settlement:
    call = replace(CALL, claim=replace(CLAIM, **claim), seconds=seconds)
    return settlement_of(call, verdict, LIMITS, lambda: drawn)


def attempt_of(item: Settlement) -> dict[str, Any]:
    (line,) = read_lines(item.attempt.encode())
    return line


def test_a_success_has_no_delay_no_flag_and_no_attempt() -> None:
    item = settled(Verdict(Outcome.APPLIED, "applied", http_status=200), has_history=False)
    claim = replace(CLAIM, has_history=False)
    assert item == Settlement(claim=claim, outcome="applied", code="applied", http_status=200, seconds=0.12345)


def test_a_success_is_the_last_attempt_of_a_history() -> None:
    item = settled(Verdict(Outcome.APPLIED, "applied", http_status=200), has_history=True)
    assert attempt_of(item)["outcome"] == "applied"


def test_an_unconfirmed_success_is_flagged() -> None:
    assert settled(Verdict(Outcome.APPLIED, "applied", is_confirmed=False)).flags == "u"


def test_a_transient_failure_waits_for_a_random_delay() -> None:
    item = settled(Verdict(Outcome.TRANSIENT, "http_503", http_status=503), drawn=0.25, failures=2)
    assert (item.outcome, item.code, item.delay_seconds, item.rest_seconds) == ("transient", "http_503", 1.0, 0)


def test_an_ambiguous_failure_rests_the_settling_time_and_is_flagged() -> None:
    item = settled(Verdict(Outcome.TRANSIENT, "timeout", is_ambiguous=True), drawn=0)
    assert (item.flags, item.rest_seconds, item.delay_seconds) == ("a", 20, 20)


def test_an_unreachable_host_is_flagged_in_addition_to_other_flags() -> None:
    assert settled(Verdict(Outcome.TRANSIENT, "dns", is_unreachable=True)).flags == "h"
    every = Verdict(Outcome.TRANSIENT, "x", is_ambiguous=True, is_unreachable=True, is_confirmed=False, is_down=True)
    assert settled(every).flags == "adhu"


def test_a_throttled_call_passes_on_the_delay_of_the_server() -> None:
    item = settled(Verdict(Outcome.THROTTLED, "TOO_MANY_REQUESTS", retry_after_seconds=30), drawn=0)
    assert (item.outcome, item.retry_after_seconds, item.delay_seconds) == ("throttled", 30, 30)


def test_being_throttled_never_ends_in_a_dead_letter() -> None:
    assert settled(Verdict(Outcome.THROTTLED, "http_429"), failures=99, first_failure_ms=0).outcome == "throttled"


@pytest.mark.parametrize(
    "claim",
    [{"failures": 4}, {"failures": 4, "first_failure_ms": 999_999}, {"failures": 1, "first_failure_ms": -2_600_000}],
    ids=["attempts", "attempts, with a first failure", "age"],
)
def test_retries_are_exhausted_by_attempts_or_by_age(claim: dict[str, Any]) -> None:
    item = settled(Verdict(Outcome.TRANSIENT, "http_503", http_status=503, message="busy"), **claim)
    assert (item.outcome, item.code, item.message) == ("dead", "retries_exhausted", "last answer http_503: busy")
    assert (item.http_status, item.delay_seconds) == (503, 0)
    assert attempt_of(item)["outcome"] == "transient", "the history says what the answer was"


def test_retries_continue_until_just_before_the_limit() -> None:
    last = settled(Verdict(Outcome.TRANSIENT, "http_503"), failures=3, first_failure_ms=1_000_000 - 3_599_999)
    assert last.outcome == "transient"


@pytest.mark.parametrize("first_failure_ms", [None, CALL.claimed_at_ms + 1])
def test_a_wish_whose_first_failure_is_now_has_age_zero(first_failure_ms: int | None) -> None:
    call = replace(CALL, claim=replace(CLAIM, first_failure_ms=first_failure_ms))
    impatient = replace(LIMITS, max_age_seconds=0.5)
    assert settlement_of(call, Verdict(Outcome.TRANSIENT, "http_503"), impatient, lambda: 0).outcome == "transient"


def test_an_exhausted_login_without_a_message_names_the_last_code() -> None:
    assert settled(Verdict(Outcome.TRANSIENT, "timeout"), failures=4).message == "last: timeout"


def test_a_call_that_may_still_take_effect_rests_even_when_retries_are_exhausted() -> None:
    item = settled(Verdict(Outcome.TRANSIENT, "timeout", is_ambiguous=True), failures=4)
    assert (item.outcome, item.rest_seconds, item.flags) == ("dead", 20, "a")


def test_a_first_failure_in_the_future_is_ignored() -> None:
    assert settled(Verdict(Outcome.TRANSIENT, "x"), first_failure_ms=9_000_000_000).outcome == "transient"


def test_a_permanent_failure_is_dead_with_the_code_of_flinks() -> None:
    verdict = Verdict(Outcome.DEAD, "INVALID_LOGIN", http_status=400, flinks_code="INVALID_LOGIN", message="no such")
    item = settled(verdict)
    assert (item.outcome, item.code, item.message) == ("dead", "INVALID_LOGIN", "no such")


def test_a_halt_delays_the_login_until_the_gate_is_closed() -> None:
    item = settled(Verdict(Outcome.HALT, "ACCESS_DENIED", http_status=401), failures=99)
    assert (item.outcome, item.code, item.delay_seconds) == ("halt", "ACCESS_DENIED", DISTRUST_SECONDS)


def test_an_attempt_remembers_all_that_is_known_of_it() -> None:
    verdict = Verdict(Outcome.DEAD, "http_400", http_status=400, flinks_code="SOMETHING_NEW", message="no such")
    item = settled(verdict)
    assert attempt_of(item) == {
        "kind": "attempt",
        "at": 1_000_000,
        "revision": 3,
        "wish": True,
        "seconds": 0.123,
        "outcome": "dead",
        "code": "http_400",
        "http_status": 400,
        "flinks_code": "SOMETHING_NEW",
        "message": "no such",
        "worker": "w1",
    }


def test_an_attempt_says_a_code_of_flinks_once() -> None:
    item = settled(Verdict(Outcome.DEAD, "INVALID_LOGIN", http_status=400, flinks_code="INVALID_LOGIN"))
    assert json.loads(item.attempt) == [1_000_000, 123, 3, 1, "INVALID_LOGIN", "w1", 400, "dead"]


def test_an_attempt_leaves_out_what_is_not_known_but_keeps_false_and_zero() -> None:
    item = settled(Verdict(Outcome.TRANSIENT, "timeout"), wants_active=False, seconds=0)
    assert json.loads(item.attempt) == [1_000_000, 0, 3, 0, "timeout", "w1"]


def test_a_call_that_was_never_made_costs_nothing() -> None:
    assert unsent(CLAIM) == Settlement(claim=CLAIM, outcome="unsent", code="unsent")


@pytest.mark.parametrize(("delay_seconds", "logged"), [(0, None), (12.34, 12.3)])
def test_the_log_names_the_delay_of_a_settled_call_only_if_there_is_one(
    delay_seconds: float, logged: float | None
) -> None:
    fields = log_fields("toolbox", replace(unsent(CLAIM), delay_seconds=delay_seconds), Settled.WAITING)
    assert fields.get("delay_seconds") == logged
    assert fields["login"] == "lgn_a"
