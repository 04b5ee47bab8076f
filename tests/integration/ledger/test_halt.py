"""Wrong credentials or a wrong address: how it is detected, and that late responses do not change it."""

from dataclasses import replace
from typing import Any

import pytest
from redis import Redis

from tests.integration.ledger.conftest import INSTANCE, Clock, claim_all, gate, settle_together, wishes
from tests.ledger_calls import list_letters
from worker.ledger import Ledger, Letters, Settled

FP = "proven-one"
GATE, CONFIGS = f"nightly:gate:{INSTANCE}", f"nightly:configs:{INSTANCE}"


@pytest.mark.parametrize("standing", ["refused", "suspect"])
def test_a_late_success_does_not_clear_a_refused_configuration(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any, standing: str
) -> None:
    ledger.record(wishes(5))
    (late,) = claim_all(clock, claim, 1)
    redis_client.hset(CONFIGS, FP, standing)
    redis_client.hset(GATE, mapping={"state": "closed", "cause": "halt"})
    assert settle(late, "applied") is Settled.APPLIED
    assert redis_client.hget(CONFIGS, FP) == standing.encode()
    assert gate(ledger)["state"] == "closed"
    assert claim().state == "closed"


@pytest.mark.parametrize("code", ["ACCESS_DENIED", "unsealable"])
def test_two_logins_refused_in_one_batch_halt_as_two_in_a_row_do(
    ledger: Ledger, clock: Clock, claim: Any, code: str
) -> None:
    ledger.record(wishes(2))
    first, second = claim_all(clock, claim, 2)
    denied = {"code": code}
    assert settle_together(ledger, (first, "halt", denied), (second, "halt", denied)) == [Settled.HALTED] * 2
    assert (gate(ledger)["cause"], gate(ledger)["code"]) == ("halt", code)


def test_a_single_refused_login_keeps_the_code_of_flinks(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(2))
    poison, other = claim_all(clock, claim, 2)
    assert settle(poison, "halt", code="ACCESS_DENIED") is Settled.HALTED
    due_at = redis_client.zscore(f"nightly:due:{INSTANCE}:live", poison.reference)
    assert due_at == clock.ms + 30_000, "other logins are called first"
    settle(other, "applied")
    clock.ms += 30_000
    (again,) = claim_all(clock, claim, 1)
    assert settle(again, "halt", code="ACCESS_DENIED") is Settled.DEAD_LETTERED
    assert [letter.code for letter in list_letters(Letters(redis_client))] == ["ACCESS_DENIED"]


def test_failures_to_find_the_host_are_counted_in_a_row(ledger: Ledger, clock: Clock, claim: Any, settle: Any) -> None:
    ledger.record(wishes(30))
    lost = {"code": "name_not_found", "flags": "h", "delay_seconds": 3600.0}
    for call in claim_all(clock, claim, 4):
        settle(call, "transient", **lost)
    settle(claim_all(clock, claim, 1)[0], "applied")
    for call in claim_all(clock, claim, 4):
        settle(call, "transient", **lost)
    assert gate(ledger)["state"] == "open"


@pytest.mark.parametrize(("asked_for", "waits"), [(0, 30_000), (29, 30_000), (31, 31_000)])
def test_a_refused_login_waits_for_others_and_at_least_its_own_backoff(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any, asked_for: int, waits: int
) -> None:
    ledger.record(wishes(2))
    (poison,) = claim(at_most=1).claims
    settle(poison, "halt", code="ACCESS_DENIED", delay_seconds=asked_for)
    assert redis_client.zscore(f"nightly:due:{INSTANCE}:live", poison.reference) == clock.ms + waits
    assert redis_client.hget(CONFIGS, FP) == b"doubted"


def test_a_login_in_doubt_again_has_three_refusals_again(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(1))
    for refusals in (2, 3):
        for _ in range(refusals):
            (only,) = claim_all(clock, claim, 1)
            settle(only, "halt", code="http_403")
            clock.ms += 30_000
        if refusals == 2:
            assert gate(ledger)["state"] == "open"
            ledger.record([replace(wishes(1)[0], reference="lgn_other")])
            settle(claim_all(clock, claim, 1)[0], "applied")
            redis_client.hdel("nightly:login:lgn_0", "u")
            assert not redis_client.hexists(CONFIGS, f"{FP}:doubt")
            assert not redis_client.hexists(CONFIGS, f"{FP}:doubts")
    assert gate(ledger)["cause"] == "halt"


def test_no_login_is_charged_after_five_dns_failures_and_one_response_resets_them(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(7))
    lost = {"code": "name_not_found", "flags": "h", "delay_seconds": 3600.0}
    *failing, exhausted, answered = claim_all(clock, claim, 7)
    for call in failing:
        settle(call, "transient", **lost)
    assert redis_client.hmget(CONFIGS, FP, f"{FP}:canary") == [b"unreachable", str(clock.ms + 60_000).encode()]
    reply = claim()
    assert (reply.state, reply.wait_seconds) == ("closed", 60), "no call is in flight that could end sooner"
    assert settle(exhausted, "dead", code="retries_exhausted", flags="dh") is Settled.HALTED
    assert redis_client.hget(CONFIGS, f"{FP}:lost") == b"6"
    settle(answered, "transient", code="CARD_IN_USE")
    assert not redis_client.hexists(CONFIGS, f"{FP}:lost")


def test_after_a_halt_the_trial_call_is_for_another_login(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(2))
    (refused,) = claim(fingerprint="new").claims
    settle(refused, "halt", fingerprint="new", code="ACCESS_DENIED")
    assert redis_client.hget(f"nightly:login:{refused.reference}", "u") == b"new"
    assert redis_client.hget(CONFIGS, "new") == b"refused"
    clock.ms += 1000
    assert [one.reference for one in claim(fingerprint="newer").claims] != [refused.reference]


def test_dns_failures_of_late_calls_do_not_let_a_refused_configuration_call(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    """It used to call once a minute: DNS failures may end, but the refused key stays refused."""
    ledger.record(wishes(20))
    first, second, *late = claim_all(clock, claim, 10)
    for refused in (first, second):
        settle(refused, "halt", code="ACCESS_DENIED")
    for lost in late:
        settle(lost, "transient", code="name_not_found", flags="dh", delay_seconds=3600.0)
    assert redis_client.hget(CONFIGS, FP) == b"refused"
    clock.ms += 3_600_000
    assert claim().state == "closed"
