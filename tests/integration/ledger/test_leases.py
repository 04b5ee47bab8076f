"""A lease that is lost: its login rests, comes back after longer and longer waits, and is set aside after ten."""

from typing import Any

import pytest
from redis import Redis

from tests.integration.ledger.conftest import INSTANCE, Clock, wishes
from worker.ledger import Ledger, Letters, Settled

LOGIN = "nightly:login:lgn_0"
MINE = {INSTANCE: "proven-one"}


def test_a_lost_lease_is_counted_remembered_and_rests_from_its_end(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any
) -> None:
    ledger.record(wishes(1))
    claim()
    ends_at = clock.ms + 15_000
    clock.ms = ends_at - 1
    assert ledger.pulse(MINE, rest_after_lease_seconds=15).leases_lost == 0
    clock.ms = ends_at
    assert ledger.pulse(MINE).leases_lost == 0, "who only asks takes nothing back"
    found = ledger.pulse(MINE, rest_after_lease_seconds=15)
    assert (found.leases_lost, found.due) == (1, 0)
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


def test_a_login_whose_calls_never_end_is_not_set_aside_while_a_newer_event_waits(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any
) -> None:
    ledger.record(wishes(1, on=False))
    for minute in range(1, 11):
        clock.ms += 2**minute * 1000
        assert claim().claims
        if minute == 10:
            ledger.record(wishes(1, minute=minute, on=False))
        clock.ms += 15_001
        ledger.pulse({}, rest_after_lease_seconds=0)
    assert not list(Letters(redis_client).list())
    assert {attempt["wish"] for attempt in Letters(redis_client).attempts("lgn_0")} == {False}


def test_the_letter_of_a_login_that_is_set_aside_says_why(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any
) -> None:
    ledger.record(wishes(1))
    for lost in range(10):
        clock.ms += 2**lost * 1000
        assert claim().claims
        clock.ms += 15_001
        ledger.pulse({}, rest_after_lease_seconds=0)
    (letter,) = Letters(redis_client).list()
    assert (letter.code, letter.http_status) == ("retries_exhausted", None)
    assert letter.message == "ten calls in a row never ended: the workers that made them were killed or stopped"
    assert redis_client.zcard(f"nightly:leases:{INSTANCE}") == 0


def test_five_hundred_leases_are_taken_back_at_a_time(ledger: Ledger, clock: Clock, redis_client: Redis) -> None:
    ledger.record(wishes(1))
    redis_client.zadd(f"nightly:leases:{INSTANCE}", {f"lgn_{at}": clock.ms for at in range(501)})
    redis_client.sadd("nightly:instances", "another")
    lost = [ledger.pulse({}, rest_after_lease_seconds=-1).leases_lost for _ in range(3)]
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
    ledger.pulse({}, rest_after_lease_seconds=0)
    assert redis_client.zscore(f"nightly:due:{INSTANCE}:live", "lgn_0") == clock.ms + waits_seconds * 1000
    assert redis_client.hget(LOGIN, "b") == str(lost_before + 1).encode()


def test_a_wait_is_no_shorter_than_the_rest(ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any) -> None:
    ledger.record(wishes(1))
    assert claim().claims
    redis_client.hset(LOGIN, "b", 1)
    clock.ms += 15_000
    ledger.pulse({}, rest_after_lease_seconds=20)
    assert redis_client.zscore(f"nightly:due:{INSTANCE}:live", "lgn_0") == clock.ms + 20_000


def test_a_late_answer_of_the_second_call_that_was_lost_in_a_row_is_too_late_as_well(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(1))
    for _ in range(2):
        clock.ms += 60_000
        (late,) = claim().claims
        clock.ms += 15_001
        ledger.pulse({}, rest_after_lease_seconds=0)
    assert settle(late, "applied") is Settled.FENCED
    assert redis_client.hget(f"nightly:tally:{INSTANCE}", "fenced") == b"1"
