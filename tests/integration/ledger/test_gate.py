"""When calls stop and how they go on: outages, storms, one login that Flinks will not hear of, and who is told."""

from dataclasses import replace
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

SHARE = GateRules(outage_in_a_row=1000)


def test_half_of_twenty_calls_is_an_outage_and_half_of_nineteen_or_less_than_half_is_none(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
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


def test_ten_logins_in_a_row_are_an_outage_however_slowly_they_come(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
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
    assert {one.failures for one in claim_all(clock, claim, 99)} == {0}, "given back, however long ago they failed"


def test_one_success_in_between_begins_the_row_anew(ledger: Ledger, clock: Clock, claim: Any, settle: Any) -> None:
    ledger.record(wishes(100))
    for number in range(30):
        clock.ms += MINUTE_MS
        (one,) = claim(at_most=1).claims
        if number % 10 == 9:
            settle(one, "applied")
        else:
            settle(one, "transient", code="http_503", flags="d", delay_seconds=10**6)
    assert gate(ledger)["state"] == "open"


def test_logins_that_fail_for_ever_say_nothing_new_and_are_charged(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(9))
    for attempt in range(20):
        for failing in claim_all(clock, claim, 9):
            assert failing.failures == attempt
            settle(failing, "transient", **DOWN)
    assert causes(ledger) == []


def test_the_probe_goes_for_a_login_of_which_no_call_failed(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(11))
    for failing in claim_all(clock, claim, 10):
        settle(failing, "transient", **DOWN)
    clock.ms += 5_000
    (probe,) = claim().claims
    assert probe.failures == 0
    assert not ledger.redis.hexists(f"nightly:login:{probe.reference}", "d")


def test_failures_with_a_code_of_flinks_own_are_no_outage(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
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
    ledger.record(wishes(11))
    old = claim_all(clock, claim, 1)[0]
    settle(old, "transient", code="CARD_IN_USE", delay_seconds=30)
    failed_at = clock.ms
    clock.ms += 20_000
    for failing in claim_all(clock, claim, 10):
        settle(failing, "transient", **DOWN)
    shut_at = clock.ms
    clock.ms += 24 * 60 * MINUTE_MS
    (probe,) = claim().claims
    settle(probe, "applied")
    opened_at = clock.ms
    clock.ms += MINUTE_MS
    again = {one.reference: one for one in claim_all(clock, claim, 10)}
    assert again[old.reference].failures == 1
    assert again[old.reference].first_failure_ms == failed_at + (opened_at - shut_at)


def test_a_person_stands_above_an_outage_and_its_end_does_not_undo_that(
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
    assert causes(ledger)[:2] == [("closed", "outage"), ("closed", "operator")]
    assert gate(ledger)["state"] == "closed"


def test_behind_the_halt_of_one_configuration_an_outage_stops_the_other(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(100))
    (refused,) = claim(fingerprint="wrong").claims
    settle(refused, "halt", fingerprint="wrong", code="ACCESS_DENIED")
    fall_into_outage(clock, claim, settle)
    assert claim().state == "closed"
    clock.ms += 5_000
    settle(claim().claims[0], "applied")
    assert gate(ledger)["state"] == "open"
    clock.ms += 1_000
    assert (claim(fingerprint="wrong").state, claim().state) == ("closed", "claimed")


def test_a_worker_whose_calls_alone_fail_is_benched_and_the_others_go_on(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(100))
    for worker in ("well", "cut off"):
        ledger.pulse({}, worker=worker, slots=2)
    settle(claim_all(clock, claim, 1)[0], "applied", worker="well")
    for failing in claim_all(clock, claim, 10, worker="cut off"):
        settle(failing, "transient", worker="cut off", **DOWN)
    assert causes(ledger) == []
    clock.ms += 1_000
    assert claim(worker="cut off").state == "closed"
    assert claim(worker="well").state == "claimed"
    due = [ledger.pulse({INSTANCE: FP}, worker=worker).due for worker in ("cut off", "well")]
    assert due[0] == 0 < due[1], "the benched worker wakes nobody"
    (notice,) = ledger.pulse({}, worker="well", slots=2).notices
    assert (notice.kind, notice.parts) == ("bench", [INSTANCE, "cut off", "10 calls in a row failed"])
    assert redis_client.pttl(f"nightly:bench:{INSTANCE}:cut off") > 50_000


def test_where_no_other_worker_is_well_the_calls_of_one_are_an_outage(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(100))
    for worker in ("a", "b"):
        ledger.pulse({}, worker=worker, slots=2)
    for failing in claim_all(clock, claim, 10, worker="a"):
        settle(failing, "transient", worker="a", **DOWN)
    assert causes(ledger) == [("closed", "outage")]


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
        clock.ms += 2**lost * 1000
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
            clock.ms += MINUTE_MS
            assert len(claim_all(clock, claim, 1)) == 1
            clock.ms += 15_001
            ledger.pulse({}, rest_after_lease_seconds=0)
        clock.ms += MINUTE_MS
        settle(claim_all(clock, claim, 1)[0], "transient", code="CARD_IN_USE", delay_seconds=0)
    assert not list(Letters(redis_client).list())


def test_a_login_whose_last_attempt_may_still_land_rests_though_it_is_given_up(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    for minute, when in enumerate(("before", "after")):
        ledger.record(wishes(1, minute=2 * minute))
        (last,) = claim_all(clock, claim, 1)
        if when == "before":
            ledger.record(wishes(1, minute=2 * minute + 1, on=False))
        settle(last, "dead", code="retries_exhausted", flags="a", rest_seconds=20)
        if when == "after":
            ledger.record(wishes(1, minute=2 * minute + 1, on=False))
        assert claim_all(clock, claim, 1) == [], when
        clock.ms += 19_000
        assert claim_all(clock, claim, 1) == [], when
        clock.ms += 1_000
        settle(claim_all(clock, claim, 1)[0], "applied")


def test_the_same_login_refused_three_times_while_no_other_is_tried_is_our_mistake_after_all(
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
    GateKeeper(ledger.redis, now_ms=clock).open(INSTANCE, by="ann")
    ledger.record([replace(wishes(1)[0], reference="lgn_other")])
    clock.ms += 1_000
    assert claim().claims[0].reference == "lgn_other", "another login tries first"


def test_late_refusals_of_the_old_key_do_not_shut_what_the_new_one_opened(
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


def test_a_login_that_our_keys_do_not_open_becomes_a_letter_when_others_do(
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
    assert [letter.login for letter in Letters(redis_client).list()] == [sealed.reference]
    assert causes(ledger) == []


def test_an_address_that_is_lost_charges_no_attempt_once_that_is_known(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(20))
    volley = claim_all(clock, claim, 8)
    for failing in volley:
        settle(failing, "transient", code="name_not_found", flags="dh", delay_seconds=0)
    assert causes(ledger) == [("closed", "halt")]
    failures = [int(ledger.redis.hget(f"nightly:login:{failing.reference}", "n") or 0) for failing in volley]
    assert failures == [1, 1, 1, 1, 0, 0, 0, 0]


def test_a_claim_that_a_failover_undid_settles_nothing_of_a_later_one(
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


# -- who is told -------------------------------------------------------------------------------------------


def test_a_notice_is_handed_to_one_worker_and_again_to_another_if_that_one_died(ledger: Ledger, clock: Clock) -> None:
    GateKeeper(ledger.redis, now_ms=clock).close(INSTANCE, by="ann", reason="x|y")
    assert ledger.pulse({}).notices == (), "only workers pass on"
    (notice,) = ledger.pulse({}, worker="a", slots=2).notices
    assert (notice.kind, notice.parts[0]) == ("gate", INSTANCE)
    assert '"detail":"x|y"' in notice.parts[1]
    assert ledger.pulse({}, worker="b", slots=2).notices == ()
    clock.ms += 15_000
    assert ledger.pulse({}, worker="b", slots=2).notices == (notice,)
    ledger.forget_notice(notice)
    clock.ms += 15_000
    assert ledger.pulse({}, worker="b", slots=2).notices == ()


def test_the_first_letter_of_its_kind_is_told_after_a_moment_and_a_storm_tells_instead(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(100))
    for one in claim_all(clock, claim, 2):
        settle(one, "dead", code="DISABLED_LOGIN")
    refuse(claim_all(clock, claim, 25), settle)
    clock.ms += 10_000
    told = [notice.parts for notice in ledger.pulse({}, worker="a", slots=2).notices]
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
        lambda: ledger.pulse({}, worker="a", slots=2),
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
