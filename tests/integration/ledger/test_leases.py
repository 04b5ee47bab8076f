"""Lost leases: the login rests, comes back after growing waits, and becomes a dead letter after ten in a row."""

from typing import Any

import pytest
from redis import Redis

from tests.integration.ledger.conftest import INSTANCE, Clock, claim_all, take_back, wishes
from tests.ledger_calls import list_letters
from worker.ledger import Ledger, Letters, Settled
from worker.ledger.queries import Views

LOGIN = "nightly:login:lgn_0"
MINE = {INSTANCE: "proven-one"}


def test_a_lost_lease_is_counted_and_stored_and_its_login_rests(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any
) -> None:
    ledger.record(wishes(1))
    claim(settle_seconds=15)
    ends_at = clock.ms + 15_000
    clock.ms = ends_at - 1
    assert take_back(ledger).leases_lost == 0
    clock.ms = ends_at
    assert ledger.pulse(MINE).leases_lost == 0, "a caller that only asks takes nothing back"
    assert take_back(ledger).leases_lost == 1
    assert ledger.pulse(MINE).due == 0
    assert redis_client.zscore(f"nightly:due:{INSTANCE}:live", "lgn_0") == ends_at + 15_000
    assert redis_client.hmget(LOGIN, "s", "z", "g", "b", "h") == [
        b"due",
        b"lease_lost",
        b"1",
        b"1",
        str(ends_at + 15_000).encode(),
    ]
    assert Letters(redis_client).attempts("lgn_0") == [
        {"at": ends_at, "revision": 1, "wish": True, "outcome": "lease_lost", "code": "lease_lost"}
    ]
    tally = redis_client.hgetall(f"nightly:tally:{INSTANCE}")
    assert tally == {b"recorded": b"1", b"ambiguous": b"1", b"leases_lost": b"1"}


def test_a_login_that_loses_leases_gets_no_letter_while_a_newer_event_waits(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any
) -> None:
    ledger.record(wishes(1, on=False))
    for minute in range(1, 11):
        clock.ms += 2**minute * 1000
        assert claim().claims
        if minute == 10:
            ledger.record(wishes(1, minute=minute, on=False))
        clock.ms += 15_001
        take_back(ledger)
    assert not list_letters(Letters(redis_client))
    assert {attempt["wish"] for attempt in Letters(redis_client).attempts("lgn_0")} == {False}


def test_the_letter_after_ten_lost_leases_says_why(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any
) -> None:
    ledger.record(wishes(1))
    for lost in range(10):
        clock.ms += 2**lost * 1000
        assert claim().claims
        clock.ms += 15_001
        take_back(ledger)
    (letter,) = list_letters(Letters(redis_client))
    assert (letter.code, letter.http_status) == ("retries_exhausted", None)
    assert letter.message == "ten calls in a row never ended: the workers that made them were killed or stopped"
    assert redis_client.zcard(f"nightly:leases:{INSTANCE}") == 0


def test_five_hundred_leases_are_taken_back_at_a_time(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any
) -> None:
    ledger.record(wishes(501))
    assert len(claim_all(clock, claim, 501)) == 501
    redis_client.sadd("nightly:instances", "another")
    clock.ms += 15_000
    lost = [take_back(ledger).leases_lost for _ in range(3)]
    assert lost == [500, 1, 0]


@pytest.mark.parametrize(
    ("lost_before", "waits_seconds"), [(0, 0), (1, 2), (2, 4), (8, 256), (11, 2048), (12, 3600), (40, 3600)]
)
def test_a_login_lost_again_waits_twice_as_long_up_to_an_hour(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, lost_before: int, waits_seconds: int
) -> None:
    ledger.record(wishes(1))
    assert claim().claims
    redis_client.hset(LOGIN, "b", lost_before)
    ledger.record(wishes(1, minute=1))  # so that it is not set aside, however often it was lost
    clock.ms += 15_000
    take_back(ledger)
    assert redis_client.zscore(f"nightly:due:{INSTANCE}:live", "lgn_0") == clock.ms + waits_seconds * 1000
    assert redis_client.hget(LOGIN, "b") == str(lost_before + 1).encode()


def test_a_wait_is_no_shorter_than_the_rest(ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any) -> None:
    ledger.record(wishes(1))
    assert claim(settle_seconds=20).claims
    redis_client.hset(LOGIN, "b", 1)
    clock.ms += 15_000
    take_back(ledger)
    assert redis_client.zscore(f"nightly:due:{INSTANCE}:live", "lgn_0") == clock.ms + 20_000


def test_a_late_settlement_of_the_second_lost_call_in_a_row_is_fenced_too(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(1))
    for _ in range(2):
        clock.ms += 60_000
        (late,) = claim().claims
        clock.ms += 15_001
        take_back(ledger)
    assert settle(late, "applied") is Settled.FENCED
    assert redis_client.hget(f"nightly:tally:{INSTANCE}", "fenced") == b"1"


def test_the_rest_after_a_lost_lease_is_that_of_the_worker_that_made_the_call(
    ledger: Ledger, clock: Clock, claim: Any
) -> None:
    ledger.record(wishes(2))
    claim(at_most=1, lease_seconds=65, settle_seconds=120)
    clock.ms += 50_000
    claim(at_most=1, lease_seconds=15, settle_seconds=20)
    clock.ms += 15_000
    assert take_back(ledger).leases_lost == 2
    ledger.record(wishes(2, minute=1, on=False))
    clock.ms += 20_000
    assert [call.reference for call in claim().claims] == ["lgn_1"]
    clock.ms += 99_999
    assert not claim().claims
    clock.ms += 1
    assert [call.reference for call in claim().claims] == ["lgn_0"]


def test_the_rest_begins_when_the_lease_is_taken_back_despite_a_step_of_the_clock(
    ledger: Ledger, clock: Clock, claim: Any
) -> None:
    ledger.record(wishes(1))
    claim(settle_seconds=20)
    clock.ms += 40_000
    take_back(ledger)
    clock.ms += 19_999
    assert not claim().claims
    clock.ms += 1
    assert claim().claims


# -- a login that a person deleted -------------------------------------------------------------------------


def test_the_lease_of_a_deleted_login_is_deleted_without_recreating_the_login(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any
) -> None:
    ledger.record(wishes(1))
    assert claim().claims
    redis_client.delete(LOGIN)
    clock.ms += 15_000
    assert take_back(ledger).leases_lost == 0
    assert not redis_client.exists(LOGIN, f"nightly:leases:{INSTANCE}", f"nightly:due:{INSTANCE}:live")
    assert redis_client.hgetall(f"nightly:tally:{INSTANCE}") == {b"recorded": b"1"}


def test_a_recreated_login_is_not_taken_back_by_its_old_lease(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any
) -> None:
    ledger.record(wishes(1))
    assert claim().claims
    redis_client.delete(LOGIN)
    ledger.record(wishes(1, minute=1))
    clock.ms += 15_000
    assert take_back(ledger).leases_lost == 0
    assert not redis_client.exists(f"nightly:leases:{INSTANCE}")
    (call,) = claim().claims
    assert call.revision == 1


def test_an_overwritten_login_in_flight_does_not_stop_pulses(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any
) -> None:
    ledger.record(wishes(2))
    assert len(claim(calls_per_second=1000).claims) == 2
    redis_client.set(LOGIN, "not a hash")
    clock.ms += 15_000
    assert take_back(ledger).leases_lost == 1
    assert not redis_client.exists(f"nightly:leases:{INSTANCE}")
    assert redis_client.hget("nightly:login:lgn_1", "s") == b"due"


def test_the_rest_of_a_deleted_login_is_not_shown(redis_client: Redis, clock: Clock) -> None:
    redis_client.hset(LOGIN, mapping={"s": "due", "z": "lease_lost"})
    assert Views(redis_client, now_ms=clock).login("lgn_0") is None
