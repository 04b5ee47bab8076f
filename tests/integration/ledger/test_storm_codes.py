"""Which refusals count for a storm; the gate names their codes."""

from typing import Any

import pytest
from redis import Redis

from tests.integration.ledger.conftest import Clock, claim_all, gate, wishes
from tests.ledger_calls import list_letters
from worker.config.gate_thresholds import GateRules
from worker.ledger import Ledger, Letters, Settled


@pytest.mark.parametrize(
    ("codes", "named"),
    [
        (("UNAUTHORIZED", "UNAUTHORIZED", "UNAUTHORIZED"), "UNAUTHORIZED"),
        (("UNAUTHORIZED", "UNAUTHORIZED", "INVALID_LOGIN"), "INVALID_LOGIN or UNAUTHORIZED"),
        (("INVALID_LOGIN", "INVALID_LOGIN", "UNAUTHORIZED"), "INVALID_LOGIN or UNAUTHORIZED"),
    ],
)
def test_both_codes_of_a_refused_login_count_in_one_run(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any, codes: tuple[str, ...], named: str
) -> None:
    """Two UNAUTHORIZED in a row used to halt all calls, as if our key were refused."""
    ledger.record(wishes(5))
    rules, letters = GateRules(storm_logins=3), Letters(redis_client, now_ms=clock)
    calls = claim_all(clock, claim, 5)
    for call, code in zip(calls, codes, strict=False):
        assert gate(ledger)["state"] == "open"
        assert settle(call, "dead", code=code, http_status=401, rules=rules) is Settled.DEAD_LETTERED
    assert (gate(ledger)["cause"], gate(ledger)["code"]) == ("storm", named)
    assert sorted(letter.code for letter in list_letters(letters, only_suspects=True)) == sorted(codes)
    for call, code in zip(calls[3:], ("INVALID_LOGIN", "UNAUTHORIZED"), strict=True):
        assert settle(call, "dead", code=code, http_status=401, rules=rules) is Settled.HALTED
    clock.ms += 10_000
    kinds = [notice.kind for notice in ledger.pulse({}, worker="a", slots=1).notices]
    assert kinds == ["gate"], "the notice of the storm replaces that of its letters"


def test_a_storm_names_the_code_of_a_last_login_without_a_letter_too(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(1))
    (call,) = claim_all(clock, claim, 1)
    ledger.record(wishes(1, minute=1))
    result = settle(call, "dead", code="UNAUTHORIZED", http_status=401, rules=GateRules(storm_logins=1))
    assert (result, list_letters(Letters(redis_client))) == (Settled.OVERTAKEN, [])
    assert (gate(ledger)["cause"], gate(ledger)["code"]) == ("storm", "UNAUTHORIZED")


def test_refusals_that_only_the_end_user_can_fix_are_no_storm(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(3))
    for _ in range(3):
        clock.ms += 1000
        settle(claim(at_most=1).claims[0], "dead", code="DISABLED_LOGIN", rules=GateRules(storm_logins=3))
    assert gate(ledger)["state"] == "open"
