"""A key that a person overwrote with one of another type stops no script: it is deleted, and others are worked on."""

from typing import Any

import pytest
from redis import Redis

from tests.integration.ledger.conftest import FINGERPRINTS, INSTANCE, Clock, settle_together, wishes
from tests.ledger_calls import close
from worker.ledger import Ledger, Letters, Notice, Recorded, Settled
from worker.ledger.history import read_history

BROKEN, NOTICE = "nightly:login:lgn_1", Notice("overwritten|nightly:login:lgn_1")
FAST = {"calls_per_second": 1_000_000}


@pytest.fixture
def notices(ledger: Ledger) -> Any:
    return lambda: ledger.pulse(FINGERPRINTS, worker="w", slots=1).notices


def test_an_event_records_an_overwritten_login_anew(ledger: Ledger, redis_client: Redis, notices: Any) -> None:
    redis_client.set(BROKEN, "not a hash")
    assert ledger.record(wishes(3)) == [Recorded.RECORDED] * 3
    assert redis_client.hget(BROKEN, "w").startswith(b"1:")
    assert redis_client.zcard(f"nightly:due:{INSTANCE}:live") == 3
    assert NOTICE in notices()


@pytest.mark.parametrize("key_ids", [(), ("0badcafe",)], ids=["any key", "another key"])
def test_an_overwritten_login_leaves_its_lane(
    ledger: Ledger, redis_client: Redis, claim: Any, notices: Any, key_ids: tuple[str, ...]
) -> None:
    ledger.record(wishes(3))
    if key_ids:
        redis_client.hset("nightly:login:lgn_0", "v", bytes.fromhex("01ffffffff"))
    redis_client.set(BROKEN, "not a hash")
    calls = claim(key_ids=key_ids, **FAST).claims
    assert [call.reference for call in calls] == ["lgn_0", "lgn_2"][bool(key_ids) :]
    assert redis_client.zscore(f"nightly:due:{INSTANCE}:live", "lgn_1") is None
    assert not redis_client.exists(BROKEN)
    assert NOTICE in notices()


@pytest.mark.parametrize("code", ["applied", "http_204"])
def test_the_call_of_an_overwritten_login_is_fenced_and_others_are_settled(
    ledger: Ledger, redis_client: Redis, claim: Any, notices: Any, code: str
) -> None:
    ledger.record(wishes(3))
    calls = claim(**FAST).claims
    redis_client.set(BROKEN, "not a hash")
    results = settle_together(ledger, *((call, "applied", {"code": code}) for call in calls))
    assert results == [Settled.APPLIED, Settled.FENCED, Settled.APPLIED]
    assert not redis_client.exists(f"nightly:leases:{INSTANCE}")
    assert NOTICE in notices()


def test_an_overwritten_history_begins_again(ledger: Ledger, redis_client: Redis, claim: Any, settle: Any) -> None:
    ledger.record(wishes(1))
    redis_client.hset("nightly:history:lgn_0", "not", "a string")
    assert settle(claim().claims[0], "transient", code="x", attempt="[1]") is Settled.WAITING
    assert [line["at"] for line in read_history(redis_client, "lgn_0")] == [1]


def test_an_overwritten_group_stops_neither_a_new_letter_nor_the_end_of_one(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(3))
    calls = claim(**FAST).claims
    group = f"nightly:group:{INSTANCE}|INVALID_LOGIN|on"
    for number, call in enumerate(calls, start=1):
        redis_client.set(group, "not a sorted set")
        assert settle(call, "dead", code="INVALID_LOGIN") is Settled.DEAD_LETTERED
        assert redis_client.zrange(group, 0, -1) == [f"dl-{number}".encode()]
    redis_client.set(group, "not a sorted set")
    close(Letters(redis_client, now_ms=clock), "dl-3", "resolved", by="ann")
    assert not redis_client.exists(group)
