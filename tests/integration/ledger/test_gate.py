"""When calls stop and how they go on: outages, storms, one login that Flinks will not hear of, and who is told."""

from itertools import pairwise
from typing import Any

import pytest
from redis import Redis

from tests.integration.ledger.conftest import INSTANCE, Clock, gate, wishes
from worker.errors import LedgerMismatch
from worker.gate_rules import GateRules
from worker.ledger import Claim, Ledger, Letters, Settled
from worker.ledger.gate import GateKeeper
from worker.ledger.views import Views

FP = "proven-one"
DOWN = {"code": "http_503", "flags": "d", "delay_seconds": 0.0}
MINUTE_MS = 60_000


def tally(ledger: Ledger, name: str) -> int:
    return int(ledger.redis.hget(f"nightly:tally:{INSTANCE}", name) or 0)


def causes(ledger: Ledger) -> list[tuple[str, str]]:
    return [(change["state"], change["cause"]) for change in Views(ledger.redis).gate_changes(INSTANCE)]


def claim_all(clock: Clock, claim: Any, count: int, **terms: Any) -> list[Claim]:
    """Take so many one after the other, as fast as a thousand calls a second allow."""
    taken: list[Claim] = []
    for _ in range(20 * count):
        if len(taken) >= count:
            break
        clock.ms += 2
        taken += claim(at_most=1, calls_per_second=1000, max_in_flight=1000, **terms).claims
    return taken


def fall_into_outage(clock: Clock, claim: Any, settle: Any) -> None:
    for failing in claim_all(clock, claim, 20):
        settle(failing, "transient", **DOWN)


# -- outage ------------------------------------------------------------------------------------------------


def test_nineteen_failures_are_bad_luck_and_the_twentieth_is_an_outage(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(100))
    volley = claim_all(clock, claim, 20)
    for failing in volley[:-1]:
        settle(failing, "transient", **DOWN)
    assert gate(ledger)["state"] == "open"
    settle(volley[-1], "transient", **DOWN)
    assert (gate(ledger)["state"], gate(ledger)["cause"]) == ("closed", "outage")
    assert gate(ledger)["detail"] == "20 of the last 20 calls failed"
    assert claim().state == "closed"


def test_failures_with_a_code_of_flinks_own_are_no_outage(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(100))
    for busy in claim_all(clock, claim, 60):
        settle(busy, "transient", code="BANK_RETRY_LATER", delay_seconds=60)
    assert gate(ledger)["state"] == "open"


def test_as_many_successes_as_failures_are_an_outage_and_one_more_success_is_none(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(100))
    volley = claim_all(clock, claim, 41)
    for well in volley[:21]:
        settle(well, "applied")
    for failing in volley[21:41]:
        settle(failing, "transient", **DOWN)
    assert gate(ledger)["state"] == "open"
    (one_more,) = claim_all(clock, claim, 1)
    settle(one_more, "transient", **DOWN)
    assert gate(ledger)["state"] == "closed"


def test_failures_are_forgotten_when_the_window_has_passed(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(100))
    for failing in claim_all(clock, claim, 19):
        settle(failing, "transient", code="http_503", flags="d", delay_seconds=3600)
    clock.ms += 10_000
    for failing in claim_all(clock, claim, 19):
        settle(failing, "transient", code="http_503", flags="d", delay_seconds=3600)
    assert gate(ledger)["state"] == "open"


def test_the_thresholds_are_the_callers(ledger: Ledger, clock: Clock, claim: Any, settle: Any) -> None:
    ledger.record(wishes(10))
    rules = GateRules(outage_ratio=1, outage_min_calls=3, outage_window_seconds=60)
    for failing in claim_all(clock, claim, 2):
        settle(failing, "transient", rules=rules, **DOWN)
    clock.ms += 30_000
    assert gate(ledger)["state"] == "open"
    (third,) = claim(at_most=1).claims
    settle(third, "transient", rules=rules, **DOWN)
    assert gate(ledger)["state"] == "closed"


def test_in_an_outage_one_call_at_a_time_tries_at_five_ten_twenty_and_then_sixty_seconds(
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
    assert causes(ledger) == [("closed", "outage")], "a try that failed is no change"


def test_the_probe_is_sent_though_a_worker_was_killed_with_the_one_before(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(100))
    fall_into_outage(clock, claim, settle)
    clock.ms += 5_000
    assert len(claim().claims) == 1
    assert ledger.pulse({INSTANCE: FP}).due == 0, "nobody is woken while the probe is out"
    clock.ms += 15_001
    assert ledger.pulse({INSTANCE: FP}).due > 0
    assert len(claim().claims) == 1


@pytest.mark.parametrize("outcome", ["applied", "dead", "throttled", "transient"])
def test_any_answer_of_flinks_own_ends_the_outage(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any, outcome: str
) -> None:
    ledger.record(wishes(100))
    fall_into_outage(clock, claim, settle)
    clock.ms += 5_000
    (probe,) = claim().claims
    settle(probe, outcome, code="CARD_IN_USE", delay_seconds=60)
    assert causes(ledger) == [("closed", "outage"), ("open", "Flinks answers again")]


def test_a_probe_that_was_never_sent_says_nothing_and_the_next_goes_at_once(
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


def test_no_attempt_is_charged_for_an_outage_not_even_those_that_showed_it(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(60))
    volley = claim_all(clock, claim, 60)
    for failing in volley[:40]:  # twenty show the outage, twenty were under way already
        settle(failing, "transient", **DOWN)
    for failing in volley[40:]:  # these were given their last chance
        assert settle(failing, "dead", code="retries_exhausted", flags="d") is Settled.HALTED
    clock.ms += 5_000
    (probe,) = claim().claims
    settle(probe, "transient", **DOWN)
    clock.ms += 24 * 60 * MINUTE_MS
    (probe,) = claim().claims
    settle(probe, "applied")
    clock.ms += MINUTE_MS
    again = claim_all(clock, claim, 59)
    assert len(again) == 59
    assert {(one.failures, one.first_failure_ms) for one in again} == {(0, None)}


def test_an_attempt_that_failed_before_the_outage_stays_charged_but_does_not_age_in_it(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(21))
    old = claim_all(clock, claim, 1)[0]
    settle(old, "transient", code="http_503", flags="d", delay_seconds=30)
    failed_at = clock.ms
    clock.ms += 20_000
    fall_into_outage(clock, claim, settle)
    shut_at = clock.ms
    clock.ms += 24 * 60 * MINUTE_MS
    (probe,) = claim().claims
    settle(probe, "applied")
    opened_at = clock.ms
    clock.ms += MINUTE_MS
    again = {one.reference: one for one in claim_all(clock, claim, 20)}
    assert again[old.reference].failures == 1
    assert again[old.reference].first_failure_ms == failed_at + (opened_at - shut_at)


def test_a_halt_or_a_person_replaces_an_outage_and_the_probe_does_not_undo_it(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(100))
    fall_into_outage(clock, claim, settle)
    clock.ms += 5_000
    (probe,) = claim().claims
    GateKeeper(redis_client, now_ms=clock).close(INSTANCE, by="ann", reason="Flinks asked us to")
    settle(probe, "applied")
    clock.ms += MINUTE_MS
    assert claim().state == "closed"
    assert causes(ledger) == [("closed", "outage"), ("closed", "operator")]


# -- storm -------------------------------------------------------------------------------------------------


def refuse(claims: list[Claim], settle: Any, **fields: Any) -> list[Settled]:
    return [settle(one, "dead", code="INVALID_LOGIN", http_status=400, **fields) for one in claims]


def test_twenty_five_invalid_logins_in_a_row_close_the_gate_before_the_rest_is_dead_lettered(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(200))
    results = refuse(claim_all(clock, claim, 60), settle)
    assert results == [Settled.PARKED] * 25 + [Settled.HALTED] * 35
    assert (gate(ledger)["state"], gate(ledger)["cause"]) == ("closed", "storm")
    letters = list(Letters(redis_client).list(only_suspects=True))
    assert len(letters) == 25
    clock.ms += 60 * MINUTE_MS
    assert claim().state == "closed", "time does not mend a wrong customer id"
    assert tally(ledger, "dead_lettered") == 25


def test_one_success_in_between_is_no_storm(ledger: Ledger, clock: Clock, claim: Any, settle: Any) -> None:
    ledger.record(wishes(200))
    refuse(claim_all(clock, claim, 24), settle)
    settle(claim_all(clock, claim, 1)[0], "applied")
    refuse(claim_all(clock, claim, 24), settle)
    assert gate(ledger)["state"] == "open"


def test_one_login_refused_again_and_again_is_no_storm(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    for minute in range(40):
        ledger.record(wishes(1, minute=minute, on=minute % 2 == 0))
        refuse(claim_all(clock, claim, 1), settle)
    assert gate(ledger)["state"] == "open"
    assert len(list(Letters(redis_client).list())) == 1


def test_another_configuration_opens_the_gate_with_its_first_confirmed_call_and_the_suspects_can_be_replayed(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(100))
    refuse(claim_all(clock, claim, 25), settle)
    right = {"fingerprint": "right"}
    (canary,) = claim(**right).claims
    assert claim(**right).state == "canary"
    refuse([canary], settle, **right)  # a login that really is invalid does not condemn the right configuration
    clock.ms += 1_000
    (canary,) = claim(**right).claims
    settle(canary, "applied", **right)
    assert causes(ledger) == [("closed", "storm"), ("open", "configuration accepted")]
    assert claim().state == "closed", "the wrong configuration stays out"
    letters = Letters(redis_client, now_ms=clock)
    suspects = [letter.id for letter in letters.list(only_suspects=True)]
    assert [letters.close(each, "replayed", by="ann") for each in suspects] == ["replayed"] * 25
    clock.ms += MINUTE_MS
    assert len(claim_all(clock, claim, 98, **right)) == 98


def test_who_opens_the_gate_after_a_storm_is_believed_four_times_as_far(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(1000))
    keeper = GateKeeper(redis_client, now_ms=clock)
    parked = [refuse(claim_all(clock, claim, 25), settle).count(Settled.PARKED)]
    for _ in range(2):
        keeper.open(INSTANCE, by="ann")
        redis_client.hset(f"nightly:configs:{INSTANCE}", FP, "proven")
        clock.ms += MINUTE_MS
        parked.append(refuse(claim_all(clock, claim, 450), settle).count(Settled.PARKED))
        assert gate(ledger)["cause"] == "storm"
    assert parked == [25, 100, 400]
    keeper.open(INSTANCE, by="ann")
    clock.ms += MINUTE_MS
    settle(claim_all(clock, claim, 1)[0], "applied")
    refuse(claim_all(clock, claim, 25), settle)
    assert gate(ledger)["cause"] == "storm", "a success brings the old measure back"


# -- one login that Flinks will not hear of ------------------------------------------------------------------


def test_a_login_that_alone_is_refused_becomes_a_letter_and_stops_nobody(
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
            assert settle(one, "halt", code="http_403", http_status=403) is Settled.PARKED
        else:
            settle(one, "applied")
    assert [(letter.code, letter.http_status) for letter in Letters(redis_client).list()] == [
        ("unexpected_response", 403)
    ]
    assert causes(ledger) == []


def test_two_different_logins_refused_in_a_row_are_our_mistake(
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


def test_a_login_whose_calls_never_end_is_set_aside_after_ten(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any
) -> None:
    ledger.record(wishes(1))
    for lost in range(10):
        assert not list(Letters(redis_client).list()), f"set aside after {lost}"
        assert len(claim_all(clock, claim, 1)) == 1
        clock.ms += 15_001
        assert ledger.pulse({}, rest_after_lease_seconds=0).leases_lost == 1
    (letter,) = Letters(redis_client).list()
    assert (letter.code, letter.login) == ("retries_exhausted", "lgn_0")
    assert tally(ledger, "recorded") == tally(ledger, "dead_lettered") == 1


def test_a_call_that_ended_lets_the_lost_ones_before_it_be_forgotten(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(1))
    for _ in range(4):
        for _ in range(5):
            assert len(claim_all(clock, claim, 1)) == 1
            clock.ms += 15_001
            ledger.pulse({}, rest_after_lease_seconds=0)
        settle(claim_all(clock, claim, 1)[0], "transient", code="CARD_IN_USE", delay_seconds=0)
    assert not list(Letters(redis_client).list())


# -- who is told -------------------------------------------------------------------------------------------


def test_a_notice_is_handed_to_one_worker_and_again_to_another_if_that_one_died(ledger: Ledger, clock: Clock) -> None:
    GateKeeper(ledger.redis, now_ms=clock).close(INSTANCE, by="ann", reason="x|y")
    assert ledger.pulse({}).notices == (), "only workers pass on"
    (notice,) = ledger.pulse({}, worker="a").notices
    assert (notice.kind, notice.parts[0]) == ("gate", INSTANCE)
    assert '"detail":"x|y"' in notice.parts[1]
    assert ledger.pulse({}, worker="b").notices == ()
    clock.ms += 15_000
    assert ledger.pulse({}, worker="b").notices == (notice,)
    ledger.forget_notice(notice)
    clock.ms += 15_000
    assert ledger.pulse({}, worker="b").notices == ()


def test_the_first_letter_of_its_kind_is_told_after_a_moment_and_a_storm_tells_instead(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(100))
    for one in claim_all(clock, claim, 2):
        settle(one, "dead", code="DISABLED_LOGIN")
    refuse(claim_all(clock, claim, 25), settle)
    clock.ms += 10_000
    told = [notice.parts for notice in ledger.pulse({}, worker="a").notices]
    assert len(told) == 2
    assert [INSTANCE, "DISABLED_LOGIN", "on"] in told


# -- an old worker on a newer ledger -------------------------------------------------------------------------


def test_code_that_is_older_than_the_ledger_takes_nothing_on_but_settles_what_it_holds(
    ledger: Ledger, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.claim_ledger("key")
    ledger.record(wishes(2))
    (held,) = claim(at_most=1).claims
    redis_client.hset("nightly:meta", "schema", 99)
    for refused in (
        claim,
        lambda: ledger.record(wishes(1, minute=1)),
        lambda: ledger.pulse({}, worker="a"),
        lambda: ledger.claim_ledger("key"),
        lambda: ledger.claim_ledger("key", only_look=True),
    ):
        with pytest.raises(LedgerMismatch, match="newer Nightly"):
            refused()
    assert settle(held, "applied") is Settled.APPLIED
    assert redis_client.hget("nightly:meta", "schema") == b"99"


def test_only_a_worker_begins_a_ledger_or_raises_its_mark(ledger: Ledger, redis_client: Redis) -> None:
    ledger.claim_ledger("key", only_look=True)
    assert not redis_client.exists("nightly:meta")
    ledger.claim_ledger("key")
    redis_client.hset("nightly:meta", "schema", 0)
    ledger.claim_ledger("key", only_look=True)
    assert redis_client.hget("nightly:meta", "schema") == b"0"
    ledger.claim_ledger("key")
    assert redis_client.hget("nightly:meta", "schema") == b"1"
    with pytest.raises(LedgerMismatch, match="LOGIN_KEYS"):
        ledger.claim_ledger("another")
