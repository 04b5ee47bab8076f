"""Which failures are charged to a login, from when they count, and how long attempts are kept."""

from typing import Any

import pytest
from redis import Redis

from tests.integration.ledger.conftest import INSTANCE, Clock, wishes
from tests.people import ANN
from worker.ledger import Ledger, Letters
from worker.ledger.gate_control import GateKeeper

LOGIN = "nightly:login:lgn_0"
FAILURE_FIELDS = ["n", "f", "d", "j", "u"]


def test_only_failures_that_say_flinks_is_down_may_belong_to_an_outage(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(1))
    settle(claim().claims[0], "transient", flags="d")
    assert redis_client.hget(LOGIN, "d") == b"1", "one, which is the first failure"
    clock.ms += 1000
    settle(claim().claims[0], "transient", flags="d")
    assert redis_client.hget(LOGIN, "d") == b"1000:2", "two, the last 1000 ms after the first failure"
    clock.ms += 1000
    settle(claim().claims[0], "transient", code="CARD_IN_USE")
    assert redis_client.hmget(LOGIN, "n", "d") == [b"3", None]


def test_thirty_lines_from_the_first_failure_on_are_kept_for_30_days(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(1))
    settle(claim().claims[0], "applied", attempt="[0]")
    assert Letters(redis_client).attempts("lgn_0") == [], "a success without failures is not stored"
    redis_client.set("nightly:history:lgn_0", "\n".join(["[1]"] * 30))
    ledger.record(wishes(1, minute=1))
    clock.ms += 1000
    settle(claim().claims[0], "applied", attempt="[2]")
    kept = [attempt["at"] for attempt in Letters(redis_client).attempts("lgn_0")]
    assert (len(kept), kept[0], kept[-1]) == (30, 1, 2)
    assert redis_client.ttl("nightly:history:lgn_0") in range(30 * 86_400 - 60, 30 * 86_400 + 1)


def test_attempts_of_a_dead_letter_expire_30_days_after_a_newer_event_closed_it(
    ledger: Ledger, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(1))
    settle(claim().claims[0], "dead", attempt="[1]")
    assert redis_client.ttl("nightly:history:lgn_0") == -1
    ledger.record(wishes(1, minute=1))
    assert redis_client.ttl("nightly:history:lgn_0") in range(30 * 86_400 - 60, 30 * 86_400 + 1)


def test_time_behind_a_shut_gate_before_the_first_failure_is_not_subtracted(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    keeper = GateKeeper(redis_client, now_ms=clock)
    keeper.close(INSTANCE, by=ANN, reason="")
    clock.ms += 3_600_000
    keeper.open(INSTANCE, by=ANN)
    ledger.record(wishes(1))
    failed_at = clock.ms
    settle(claim().claims[0], "transient", code="CARD_IN_USE")
    assert redis_client.hget(LOGIN, "j") == b"3600000"
    clock.ms += 2000
    assert claim().claims[0].first_failure_ms == failed_at


@pytest.mark.parametrize(
    ("first", "last", "in_a_row", "left"),
    [
        (-1, -1, 1, 3),
        (0, 0, 1, 2),
        (1000, 1000, 1, 2),
        (1001, 1001, 1, 3),
        (0, 9, 2, 1),
        (-1, 9, 2, 2),
        (9, 1001, 2, 3),
    ],
)
def test_failures_in_a_row_within_an_outage_are_not_charged(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, first: int, last: int, in_a_row: int, left: int
) -> None:
    ledger.record(wishes(1))
    began_at = clock.ms - 5000
    redis_client.hset(f"nightly:gate:{INSTANCE}", mapping={"outage_from": began_at, "outage_to": began_at + 1000})
    redis_client.hset(
        LOGIN, mapping={"n": 3, "f": began_at - 1000, "d": f"{began_at + first}:{began_at + last}:{in_a_row}"}
    )
    (call,) = claim().claims
    assert (call.failures, call.first_failure_ms) == (left, began_at - 1000)
    assert redis_client.hget(LOGIN, "n") == str(left).encode()
    assert redis_client.hexists(LOGIN, "d") == (left == 3)


@pytest.mark.parametrize(
    ("in_a_row", "began", "ended", "left"),
    [("1", 0, 1, 2), ("1", 1, 2, 3), ("900:2", 0, 900, 1), ("900:2", 0, 899, 3), ("900:2", 1, 900, 2)],
)
def test_failures_in_a_row_from_the_first_failure_on_are_stored_in_short(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, in_a_row: str, began: int, ended: int, left: int
) -> None:
    ledger.record(wishes(1))
    first = clock.ms - 5000
    redis_client.hset(f"nightly:gate:{INSTANCE}", mapping={"outage_from": first + began, "outage_to": first + ended})
    redis_client.hset(LOGIN, mapping={"n": 3, "f": first, "d": in_a_row})
    (call,) = claim().claims
    assert (call.failures, redis_client.hexists(LOGIN, "d")) == (left, left == 3)


def test_a_first_failure_never_lies_ahead(ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any) -> None:
    ledger.record(wishes(1))
    redis_client.hset(f"nightly:gate:{INSTANCE}", "held_ms", 5000)
    redis_client.hset(LOGIN, mapping={"n": 1, "f": clock.ms - 1000})
    assert claim().claims[0].first_failure_ms == clock.ms


def test_a_claim_says_whether_attempts_of_its_login_are_stored(
    ledger: Ledger, clock: Clock, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(1))
    said = []
    for outcome, attempt in (("unsent", ""), ("transient", "[1]"), ("applied", "[2]"), ("applied", "")):
        clock.ms += 1000
        (call,) = claim().claims
        said.append(call.has_history)
        settle(call, outcome, attempt=attempt)
        ledger.record(wishes(1, minute=len(said)))
    assert said == [False, False, True, True]
    assert [attempt["at"] for attempt in Letters(ledger.redis).attempts("lgn_0")] == [1, 2]
