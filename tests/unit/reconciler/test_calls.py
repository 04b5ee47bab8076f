"""Every due login is called within its limits, and settled after any outcome of the call."""

from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.unit.reconciler.slices import APPLIED, BOUNDS, Slice, later, when
from worker.clock import elapsed_seconds
from worker.ledger import Claim, Settled
from worker.reconciler import dispatcher
from worker.reconciler import reconciler as reconcile
from worker.vault.vault import Vault


def test_everything_that_is_due_is_called_and_settled_once(piece: Slice) -> None:
    logins = [f"login-{number}" for number in range(100)]
    piece.due(*logins)

    assert piece.run() is False, "work ended before the time did"
    assert sorted(piece.caller.called) == sorted(logins)
    assert piece.outcomes() == dict.fromkeys(logins, "applied")


def test_calls_in_flight_reach_the_limit_and_never_exceed_it(piece: Slice) -> None:
    piece.bounds = replace(BOUNDS, slice_seconds=10)
    piece.due(*map(str, range(40)))
    piece.caller.answer = lambda _: later(0.005)
    piece.run()
    assert piece.caller.most_in_flight == 8
    assert len(piece.outcomes()) == 40


def test_a_reconciler_uses_only_its_share_of_the_limit(piece: Slice) -> None:
    piece.bounds = replace(BOUNDS, slice_seconds=10)
    piece.due(*map(str, range(40)))
    piece.caller.answer = lambda _: later(0.005)
    piece.run(reconcilers=3)
    assert piece.caller.most_in_flight == 3
    assert len(piece.outcomes()) == 40


def test_the_share_follows_the_number_of_reconcilers_and_is_at_least_one_call(
    piece: Slice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "HEARTBEAT_SECONDS", 0.01)
    piece.ledger.reconcilers = 100
    piece.due(*map(str, range(20)))
    piece.caller.answer = lambda _: later(0.02)
    piece.run()
    assert piece.caller.most_in_flight == 8
    assert piece.caller.in_flight_at_start[-8:] == [1] * 8


def test_a_slow_call_delays_no_other_call(piece: Slice) -> None:
    others = [str(number) for number in range(30)]
    piece.due("slow", *others)
    piece.caller.answer = lambda login: when(lambda: len(piece.ledger.settled) == 30) if login == "slow" else APPLIED

    assert piece.run() is False
    assert piece.outcomes()["slow"] == "applied"
    assert list(piece.outcomes())[-1] == "slow"


def test_a_call_has_its_timeout_and_may_not_begin_when_the_lease_would_end_before_it(piece: Slice) -> None:
    piece.due("a")
    piece.run()
    ((timeout_seconds, begins_within),) = piece.caller.limits
    assert timeout_seconds == 1
    assert 0.8 < begins_within <= 1


def test_a_call_that_did_not_start_in_time_is_settled_as_unsent(piece: Slice) -> None:
    piece.due("late", "b")
    piece.caller.answer = lambda login: None if login == "late" else APPLIED
    piece.run()
    assert piece.outcomes() == {"late": "unsent", "b": "applied"}


def test_a_login_that_cannot_be_opened_halts_and_is_not_called(piece: Slice) -> None:
    piece.due("a", "b")
    piece.ledger.due["toolbox"][0] = replace(piece.ledger.due["toolbox"][0], sealed=b"foreign")
    piece.run()
    assert piece.caller.called == ["b"]
    assert (piece.ledger.settled["lgn_a"].outcome, piece.ledger.settled["lgn_a"].code) == ("halt", "unsealable")
    assert piece.outcomes()["b"] == "applied"


def test_a_login_sealed_by_a_key_of_another_worker_is_returned_unchanged(piece: Slice) -> None:
    piece.due("a", "b")
    theirs = Vault([bytes(32)]).seal_login("lgn_a", "a")
    piece.ledger.due["toolbox"][0] = replace(piece.ledger.due["toolbox"][0], sealed=theirs)
    piece.run()
    assert piece.caller.called == ["b"]
    assert piece.outcomes() == {"a": "unsent", "b": "applied"}


def test_a_slice_claims_only_logins_that_its_keys_open(piece: Slice) -> None:
    piece.due("a")
    piece.run()
    assert piece.ledger.key_ids == piece.vault.key_ids


def test_a_bug_in_one_call_makes_it_ambiguous_and_the_others_continue(
    piece: Slice, reports: list[tuple[str, dict[str, Any]]]
) -> None:
    piece.due(*map(str, range(20)), "canary-login")
    piece.caller.answer = lambda login: KeyError(login) if login == "canary-login" else APPLIED
    with capture_logs() as lines:
        piece.run()

    item = piece.ledger.settled["lgn_canary-login"]
    assert (item.outcome, item.code, item.flags, item.rest_seconds) == ("transient", "internal_error", "a", 20)
    assert len(piece.outcomes()) == 21
    assert reports == [("report_unexpected", {"where": "call", "instance": "toolbox"})]
    assert [line["event"] for line in lines if line["log_level"] == "error"] == ["call_failed_unexpectedly"]


def test_a_log_line_names_a_login_by_its_reference_alone(piece: Slice) -> None:
    piece.due("canary-login")
    claim = replace(_renamed(piece, "canary-login"), wants_active=False, event_id="evt-1", failures=2)
    piece.ledger.due["toolbox"][0] = claim
    piece.ledger.failures["claim"] = piece.ledger.failures["settle"] = 1
    piece.ledger.result = Settled.WAITING
    with capture_logs() as lines:
        piece.run()
    (settled,) = [line for line in lines if line["event"] == "call_settled"]
    (call,) = settled["each"]
    assert (call["login"], call["wish"], settled["log_level"]) == ("lgn_x", "off", "info")
    assert (call["event_id"], call["attempt"], call["outcome"], call["result"]) == ("evt-1", 3, "applied", "waiting")
    assert (call["instance"], call["http_status"]) == ("toolbox", 200)
    assert 0 <= call["call_ms"] < 1000
    away = [line["unsettled"] for line in lines if line["event"] == "ledger_unreachable"]
    assert away == [0, 1]
    assert "canary-login" not in repr(lines)


def _renamed(piece: Slice, login: str) -> Claim:
    claim = piece.ledger.due["toolbox"][0]
    return replace(claim, reference="lgn_x", sealed=piece.vault.seal_login("lgn_x", login))


def test_the_latest_start_of_a_call_counts_suspended_time(piece: Slice, monkeypatch: pytest.MonkeyPatch) -> None:
    offset = 0.0
    monkeypatch.setattr(dispatcher, "elapsed_seconds", lambda: elapsed_seconds() + offset)
    hand_out = piece.ledger.settle_and_claim

    def suspended_after_the_claim(*args: Any, **fields: Any) -> Any:
        nonlocal offset
        result = hand_out(*args, **fields)
        offset = 3600
        return result

    monkeypatch.setattr(piece.ledger, "settle_and_claim", suspended_after_the_claim)
    piece.due("a")
    piece.run()
    ((_, left_seconds),) = piece.caller.limits
    assert 0 < left_seconds <= piece.bounds.lease_seconds - piece.bounds.call_seconds, "counted from before the claim"
