"""One login that is refused, cannot be opened or kills its workers becomes a letter and delays no other."""

from dataclasses import replace
from typing import Any

from redis import Redis

from tests.integration.ledger.conftest import (
    INSTANCE,
    MINUTE_MS,
    Clock,
    causes,
    claim_all,
    gate,
    take_back,
    tally,
    wishes,
)
from tests.ledger_calls import list_letters
from tests.people import ANN
from worker.ledger import Ledger, Letters, Settled
from worker.ledger.gate_control import GateKeeper

FP = "proven-one"


def test_a_single_refused_login_becomes_a_letter_and_delays_no_other(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(10))
    (poison,) = claim(at_most=1).claims
    assert settle(poison, "halt", code="http_403", http_status=403) is Settled.HALTED
    assert gate(ledger)["state"] == "open"
    clock.ms += 1_000
    (other,) = claim().claims
    assert claim().state == "canary", "a doubted configuration tries one call"
    settle(other, "applied")
    clock.ms += 30_000
    for one in claim_all(clock, claim, 9):
        if one.reference == poison.reference:
            assert settle(one, "halt", code="http_403", http_status=403) is Settled.DEAD_LETTERED
        else:
            settle(one, "applied")
    assert [(letter.code, letter.http_status) for letter in list_letters(Letters(redis_client))] == [
        ("unexpected_response", 403)
    ]
    assert causes(ledger) == []


def test_two_different_logins_refused_in_a_row_shut_the_gate(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(10))
    (first,) = claim(at_most=1).claims
    settle(first, "halt", code="ACCESS_DENIED", http_status=401)
    clock.ms += 1_000
    (second,) = claim().claims
    assert second.reference != first.reference
    settle(second, "halt", code="ACCESS_DENIED", http_status=401)
    assert causes(ledger) == [("closed", "halt")]
    assert claim().state == "closed"


def test_a_login_that_loses_ten_leases_in_a_row_becomes_a_letter(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any
) -> None:
    ledger.record(wishes(1))
    for lost in range(10):
        assert not list_letters(Letters(redis_client)), f"set aside after {lost}"
        clock.ms += 2**lost * 1000
        assert len(claim_all(clock, claim, 1)) == 1
        clock.ms += 15_001
        assert take_back(ledger).leases_lost == 1
    (letter,) = list_letters(Letters(redis_client))
    assert (letter.code, letter.login) == ("retries_exhausted", "lgn_0")
    assert tally(ledger, "recorded") == tally(ledger, "dead_lettered") == 1


def test_a_call_that_ended_resets_the_count_of_lost_leases(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(1))
    for _ in range(4):
        for _ in range(5):
            clock.ms += MINUTE_MS
            assert len(claim_all(clock, claim, 1)) == 1
            clock.ms += 15_001
            take_back(ledger)
        clock.ms += MINUTE_MS
        settle(claim_all(clock, claim, 1)[0], "transient", code="CARD_IN_USE", delay_seconds=0)
    assert not list_letters(Letters(redis_client))


def test_one_login_refused_three_times_with_no_other_call_between_shuts_the_gate(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(1))
    for refusal in range(3):
        assert causes(ledger) == [], f"after {refusal}"
        (only,) = claim_all(clock, claim, 1)
        settle(only, "halt", code="http_403", http_status=403)
        assert claim().state in {"idle", "closed"}
        clock.ms += 30_000
    assert causes(ledger) == [("closed", "halt")]
    GateKeeper(ledger.redis, now_ms=clock).open(INSTANCE, by=ANN)
    ledger.record([replace(wishes(1)[0], reference="lgn_other")])
    clock.ms += 1_000
    assert claim().claims[0].reference == "lgn_other", "another login tries first"


def test_late_refusals_of_the_old_key_do_not_shut_a_gate_that_the_new_key_opened(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(40))
    old = claim_all(clock, claim, 10)
    for refused in old[:2]:
        settle(refused, "halt", code="ACCESS_DENIED", http_status=401)
    for late in old[2:]:
        clock.ms += 1_000
        settle(claim_all(clock, claim, 1, fingerprint="new")[0], "applied", fingerprint="new")
        settle(late, "halt", code="ACCESS_DENIED", http_status=401)
    assert causes(ledger) == [("closed", "halt"), ("open", "configuration accepted")]


def test_a_login_that_our_keys_do_not_open_becomes_a_letter_if_they_open_others(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(3))
    (sealed,) = claim(at_most=1).claims
    settle(sealed, "halt", code="unsealable")
    clock.ms += 1_000
    settle(claim().claims[0], "applied")
    clock.ms += 30_000
    for one in claim_all(clock, claim, 2):
        settle(one, "halt" if one.reference == sealed.reference else "applied", code="unsealable")
    assert [letter.login for letter in list_letters(Letters(redis_client))] == [sealed.reference]
    assert causes(ledger) == []


def test_a_wrong_address_charges_no_attempt_once_it_is_detected(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(20))
    volley = claim_all(clock, claim, 8)
    for failing in volley:
        settle(failing, "transient", code="name_not_found", flags="dh", delay_seconds=0)
    assert causes(ledger) == [("closed", "halt")]
    failures = [int(ledger.redis.hget(f"nightly:login:{failing.reference}", "n") or 0) for failing in volley]
    assert failures == [1, 1, 1, 1, 0, 0, 0, 0]


def test_a_claim_undone_by_a_failover_does_not_settle_a_later_one(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(1))
    before = redis_client.dump("nightly:login:lgn_0"), redis_client.dump("nightly:due:toolbox:live")
    (undone,) = claim().claims
    redis_client.restore("nightly:login:lgn_0", 0, before[0], replace=True)
    redis_client.restore("nightly:due:toolbox:live", 0, before[1], replace=True)
    redis_client.delete("nightly:leases:toolbox")
    ledger.record(wishes(1, minute=1, on=False))
    clock.ms += 1_000
    settle(claim(owner="b").claims[0], "applied", owner="b")
    assert settle(undone, "applied") is Settled.FENCED
    clock.ms += 1_000
    assert claim().claims, "the late call may have landed last, so the newest wish is asserted again"
