"""What a settlement stores: the login's fields and the tally, and nothing of the flight."""

from typing import Any

import pytest
from redis import Redis

from tests.integration.ledger.conftest import INSTANCE, Clock, take_back, wishes
from tests.ledger_calls import list_letters
from worker.ledger import Ledger, Letters, Settled
from worker.ledger.queries import Views

LOGIN = "nightly:login:lgn_0"
FLIGHT_FIELDS = ["m", "b"]
FAILURE_FIELDS = ["n", "f", "d", "j", "u", "z"]


def tally(client: Redis) -> dict[str, int]:
    return {name.decode(): int(count) for name, count in client.hgetall(f"nightly:tally:{INSTANCE}").items()}


def due_at(client: Redis, lane: str = "live") -> float | None:
    return client.zscore(f"nightly:due:{INSTANCE}:{lane}", "lgn_0")


@pytest.mark.parametrize("wish", ["on", "off"])
def test_an_applied_login_stores_its_confirmation(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any, wish: str
) -> None:
    ledger.record(wishes(1, on=wish == "on"))
    (call,) = claim().claims
    clock.ms += 300
    assert settle(call, "applied", code="applied") is Settled.APPLIED
    found = Views(redis_client, now_ms=clock).login("lgn_0")
    assert found is not None
    assert (found["state"], found["last_code"], found["lease_until"]) == ("applied", "applied", None)
    assert (found["confirmed_wish"], found["confirmed_revision"]) == (wish, 1)
    assert found["confirmed_at"] == clock.ms
    assert tally(redis_client) == {"recorded": 1, "calls": 1, f"applied_{wish}": 1}


@pytest.mark.parametrize("before", [["b"], FAILURE_FIELDS, [*FAILURE_FIELDS, "b"]])
def test_an_applied_login_has_no_fields_of_flight_or_failures(
    ledger: Ledger, redis_client: Redis, claim: Any, settle: Any, before: list[str]
) -> None:
    ledger.record(wishes(1))
    redis_client.hset(LOGIN, mapping=dict.fromkeys(before, "1"))
    (call,) = claim().claims
    settle(call, "applied")
    assert redis_client.hmget(LOGIN, *FLIGHT_FIELDS, *FAILURE_FIELDS) == [None] * 8
    assert redis_client.hget(LOGIN, "k") == str(call.number).encode()


def test_a_waiting_login_has_no_fields_of_its_flight(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(1))
    (call,) = claim().claims
    redis_client.hset(LOGIN, mapping={"m": "0", "b": "1"})
    settle(call, "transient", code="CARD_IN_USE", delay_seconds=3)
    assert redis_client.hmget(LOGIN, *FLIGHT_FIELDS) == [None] * 2
    assert redis_client.hget(LOGIN, "k") == str(call.number).encode()
    assert redis_client.hmget(LOGIN, "s", "z", "n", "f") == [b"due", b"CARD_IN_USE", b"1", str(clock.ms).encode()]
    assert (due_at(redis_client), redis_client.zcard(f"nightly:leases:{INSTANCE}")) == (clock.ms + 3000, 0)
    assert not redis_client.hexists(LOGIN, "h"), "nothing may still land"


@pytest.mark.parametrize("lost_before", [[], ["b"]])
def test_a_dead_login_has_no_fields_of_its_flight(
    ledger: Ledger, redis_client: Redis, claim: Any, settle: Any, lost_before: list[str]
) -> None:
    ledger.record(wishes(1))
    (call,) = claim().claims
    for field in lost_before:
        redis_client.hset(LOGIN, field, "1")
    settle(call, "dead", code="DISABLED_LOGIN")
    assert redis_client.hmget(LOGIN, *FLIGHT_FIELDS, "k") == [None, None, str(call.number).encode()]
    assert redis_client.zcard(f"nightly:leases:{INSTANCE}") == 0
    assert tally(redis_client) == {"recorded": 1, "calls": 1, "dead_lettered": 1, "dead:DISABLED_LOGIN": 1}


@pytest.mark.parametrize(
    ("outcome", "flags", "counted"),
    [
        ("applied", "u", {"calls", "applied_on", "unconfirmed"}),
        ("transient", "ad", {"calls", "retried", "ambiguous"}),
        ("transient", "", {"calls", "retried"}),
        ("dead", "a", {"calls", "dead_lettered", "dead:", "ambiguous"}),
        ("throttled", "", {"calls", "throttled"}),
        ("halt", "", {"calls"}),
        ("unsent", "", set()),
    ],
)
def test_each_outcome_is_counted_once_under_its_name(
    ledger: Ledger, redis_client: Redis, claim: Any, settle: Any, outcome: str, flags: str, counted: set[str]
) -> None:
    ledger.record(wishes(1))
    settle(claim().claims[0], outcome, flags=flags)
    assert tally(redis_client) == dict.fromkeys({"recorded"} | counted, 1)


def test_a_newer_event_in_flight_is_due_at_once_but_not_before_a_pause_that_flinks_asked_for(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    for minute, (outcome, waits) in enumerate([("applied", 0), ("transient", 0), ("throttled", 60), ("dead", 0)]):
        ledger.record(wishes(1, minute=2 * minute))
        clock.ms += 100_000
        (call,) = claim().claims
        ledger.record(wishes(1, minute=2 * minute + 1))
        settle(call, outcome, delay_seconds=60)
        assert due_at(redis_client) == clock.ms + waits * 1000, outcome
        assert not redis_client.hexists(LOGIN, "n"), "failures of an older wish are not charged to the newer"
    assert not list_letters(Letters(redis_client))


def test_a_login_rests_while_its_call_may_still_land_and_the_rest_is_stored(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(1))
    settle(claim().claims[0], "transient", flags="a", rest_seconds=20)
    rests_until = clock.ms + 20_000
    assert (due_at(redis_client), redis_client.hget(LOGIN, "h")) == (rests_until, str(rests_until).encode())
    clock.ms += 1000
    ledger.record(wishes(1, minute=1))
    assert due_at(redis_client) == rests_until, "a newer event waits as long"
    clock.ms = rests_until
    assert claim().state == "claimed"
    assert not redis_client.hexists(LOGIN, "h")


def test_a_late_response_makes_a_settled_login_due_again_after_its_rest(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(1))
    (late,) = claim().claims
    clock.ms += 15_001
    take_back(ledger)
    (call,) = claim().claims
    assert settle(call, "applied") is Settled.APPLIED
    assert settle(late, "transient", rest_seconds=5) is Settled.FENCED
    assert redis_client.hget(LOGIN, "h") == str(clock.ms + 5000).encode()
    assert (redis_client.hget(LOGIN, "s"), due_at(redis_client)) == (b"due", clock.ms + 5000)
    assert tally(redis_client)["fenced"] == 1


def test_a_definite_late_response_does_not_change_a_waiting_or_dead_login(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(1))
    (late,) = claim(settle_seconds=1).claims
    clock.ms += 15_001
    take_back(ledger)
    waits_until = due_at(redis_client)
    assert settle(late, "transient") is Settled.FENCED
    assert (due_at(redis_client), redis_client.hexists(LOGIN, "m")) == (waits_until, False)
    clock.ms += 1000
    (call,) = claim().claims
    settle(call, "dead", code="DISABLED_LOGIN")
    assert settle(late, "transient") is Settled.FENCED
    assert redis_client.hmget(LOGIN, "s", "h") == [b"dead", None]
    assert due_at(redis_client) is None


def test_a_call_without_an_attempt_stores_none(ledger: Ledger, redis_client: Redis, claim: Any, settle: Any) -> None:
    ledger.record(wishes(1))
    settle(claim().claims[0], "transient", attempt="")
    assert not redis_client.exists("nightly:history:lgn_0")


def test_a_wish_that_is_asserted_again_is_counted_once(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(1))
    (call,) = claim().claims
    assert settle(call, "applied", owner="another") is Settled.FENCED
    assert settle(call, "applied") is Settled.OVERTAKEN
    clock.ms += 1000
    (again,) = claim().claims
    assert settle(again, "applied") is Settled.APPLIED
    assert tally(redis_client)["applied_on"] == 1


def test_a_login_is_not_dead_lettered_while_another_call_may_have_landed(
    ledger: Ledger, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(1))
    (call,) = claim().claims
    settle(call, "applied", owner="another")
    assert settle(call, "dead", code="DISABLED_LOGIN") is Settled.OVERTAKEN
    assert redis_client.hget(LOGIN, "s") == b"due"


def test_a_wish_that_was_applied_before_a_newer_one_came_is_not_superseded(
    ledger: Ledger, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(1))
    (call,) = claim().claims
    ledger.record(wishes(1, minute=1, on=False))
    assert settle(call, "applied") is Settled.OVERTAKEN
    assert tally(redis_client) == {"recorded": 2, "calls": 1, "applied_on": 1}


def test_a_wish_that_failed_before_a_newer_one_came_is_superseded(
    ledger: Ledger, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(1))
    (call,) = claim().claims
    ledger.record(wishes(1, minute=1, on=False))
    settle(call, "transient")
    assert tally(redis_client) == {"recorded": 2, "calls": 1, "retried": 1, "superseded": 1}


def test_a_late_call_that_was_never_sent_changes_nothing(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(1))
    (late,) = claim().claims
    clock.ms += 15_001
    take_back(ledger)
    settle(claim().claims[0], "applied")
    assert settle(late, "unsent") is Settled.FENCED
    assert redis_client.hget(LOGIN, "s") == b"done"


def test_a_deleted_login_is_settled_without_a_trace(
    ledger: Ledger, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(1))
    (call,) = claim().claims
    redis_client.delete(LOGIN)
    assert settle(call, "applied") is Settled.FENCED
    assert not redis_client.exists(LOGIN, f"nightly:leases:{INSTANCE}")


def test_the_last_code_is_the_last_calls(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(1))
    codes = []
    for minute, (outcome, code) in enumerate(
        [("transient", "CARD_IN_USE"), ("applied", "applied"), ("applied", "unconfirmed"), ("applied", "applied")], 1
    ):
        clock.ms += 1000
        settle(claim().claims[0], outcome, code=code)
        ledger.record(wishes(1, minute=minute))
        found = Views(redis_client, now_ms=clock).login("lgn_0")
        codes.append(found and found["last_code"])
    assert codes == ["CARD_IN_USE", "applied", "unconfirmed", "applied"]
