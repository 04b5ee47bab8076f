"""Recording an event: the order of wishes, the lane, and what a newer wish deletes."""

from dataclasses import replace
from typing import Any

import pytest
from redis import Redis

from tests.integration.ledger.conftest import INSTANCE, Clock
from tests.ledger_calls import list_letters
from worker.ledger import Lane, Ledger, Letters, Recorded, Wish
from worker.ledger.queries import Views

LOGIN = "nightly:login:lgn_0"
FIRST = Wish("lgn_0", INSTANCE, b"sealed", 1_600_000_000_000_000, wants_active=True, event_id="m", account_id="cust-1")
LATER_US = FIRST.occurred_us + 1
OFF = {"wants_active": False}


def tally(client: Redis) -> dict[str, int]:
    return {name.decode(): int(count) for name, count in client.hgetall(f"nightly:tally:{INSTANCE}").items()}


def lanes(client: Redis) -> dict[str, list[tuple[bytes, float]]]:
    found = {lane: client.zrange(f"nightly:due:{INSTANCE}:{lane}", 0, -1, withscores=True) for lane in Lane}
    return {str(lane): logins for lane, logins in found.items() if logins}


@pytest.mark.parametrize(
    ("changes", "result"),
    [
        ({}, "duplicate"),
        ({"occurred_us": LATER_US}, "recorded"),
        ({"occurred_us": LATER_US, "event_id": "a"}, "recorded"),
        ({"occurred_us": FIRST.occurred_us - 1}, "superseded"),
        ({"occurred_us": FIRST.occurred_us - 1, "event_id": "z", **OFF}, "superseded"),
        (OFF, "recorded"),
        ({"event_id": "a", **OFF}, "recorded"),
        ({"event_id": "z"}, "recorded"),
        ({"event_id": "a"}, "superseded"),
        ({"event_id": "mm"}, "recorded"),
        ({"event_id": "é"}, "recorded"),
        ({"event_id": "M"}, "superseded"),
        ({"event_id": "az"}, "superseded"),
        ({"event_id": "ma"}, "recorded"),
        ({"event_id": "za"}, "recorded"),
    ],
)
def test_the_newest_wish_is_the_latest_then_inactive_then_the_larger_id(
    ledger: Ledger, redis_client: Redis, changes: dict[str, Any], result: str
) -> None:
    other = replace(FIRST, **changes)
    assert ledger.record([FIRST, other]) == ["recorded", result]
    newest = other if result == "recorded" else FIRST
    _stands_as(newest, redis_client)
    redis_client.flushall()
    backwards = {"recorded": "superseded", "superseded": "recorded"}.get(result, result)
    assert ledger.record([other, FIRST]) == ["recorded", backwards], "in either order"
    _stands_as(newest, redis_client)


def _stands_as(wish: Wish, client: Redis) -> None:
    found = Views(client).login("lgn_0")
    assert found is not None
    assert (found["occurred_us"], found["event_id"]) == (wish.occurred_us, wish.event_id)
    assert found["wish"] == ("on" if wish.wants_active else "off")


@pytest.mark.parametrize(("first", "second"), [("m", "mm"), ("", "m")])
def test_of_two_ids_with_the_same_beginning_the_longer_is_larger(ledger: Ledger, first: str, second: str) -> None:
    short, long = replace(FIRST, event_id=first), replace(FIRST, event_id=second)
    assert ledger.record([short, long]) == ["recorded", "recorded"]
    assert ledger.record([short]) == ["superseded"]


def test_a_first_event_is_stored_whole_and_due_at_once(ledger: Ledger, clock: Clock, redis_client: Redis) -> None:
    ledger.record([FIRST])
    assert redis_client.hgetall(LOGIN) == {
        b"v": b"sealed",
        b"w": f"1:1:{FIRST.occurred_us}:{INSTANCE}".encode(),
        b"e": b"m",
        b"a": b"cust-1",
        b"s": b"due",
    }
    assert lanes(redis_client) == {"live": [(b"lgn_0", clock.ms)]}
    assert redis_client.smembers("nightly:instances") == {INSTANCE.encode()}
    assert tally(redis_client) == {"recorded": 1}


def test_a_newer_event_is_the_next_revision_and_keeps_the_account_if_it_names_none(
    ledger: Ledger, redis_client: Redis
) -> None:
    ledger.record([FIRST, replace(FIRST, occurred_us=LATER_US, account_id=None, sealed=b"anew")])
    assert redis_client.hmget(LOGIN, "v", "a", "q") == [b"anew", b"cust-1", None]
    assert redis_client.hget(LOGIN, "w") == f"2:1:{LATER_US}:{INSTANCE}".encode()
    assert tally(redis_client) == {"recorded": 2, "superseded": 1}


def test_older_and_repeated_events_are_counted_and_change_nothing(ledger: Ledger, redis_client: Redis) -> None:
    ledger.record([FIRST])
    before = redis_client.hgetall(LOGIN)
    ledger.record([FIRST, replace(FIRST, occurred_us=1, sealed=b"old")])
    assert redis_client.hgetall(LOGIN) == before
    assert tally(redis_client) == {"recorded": 3, "duplicate": 1, "superseded": 1}


def test_an_event_that_was_applied_is_not_counted_again_when_a_newer_one_comes(
    ledger: Ledger, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record([FIRST])
    settle(claim().claims[0], "applied")
    ledger.record([replace(FIRST, occurred_us=LATER_US)])
    assert tally(redis_client) == {"recorded": 2, "calls": 1, "applied_on": 1}
    assert not redis_client.hexists(LOGIN, "q"), "and the newer one is not counted yet"


@pytest.mark.parametrize("field", ["n", "f", "d", "j", "u"])
def test_a_newer_event_deletes_the_failures_of_the_older(ledger: Ledger, redis_client: Redis, field: str) -> None:
    ledger.record([FIRST])
    redis_client.hset(LOGIN, field, "1")
    ledger.record([replace(FIRST, occurred_us=LATER_US)])
    assert not redis_client.hexists(LOGIN, field)


def test_a_newer_event_closes_the_letter_of_its_login(
    ledger: Ledger, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record([FIRST])
    settle(claim().claims[0], "dead", code="DISABLED_LOGIN")
    ledger.record([replace(FIRST, occurred_us=LATER_US)])
    assert [letter.status for letter in list_letters(Letters(redis_client), state="closed")] == ["superseded"]
    assert not redis_client.hexists(LOGIN, "x")
    assert tally(redis_client)["dead_lettered"] == 1
    assert "superseded" not in tally(redis_client)


@pytest.mark.parametrize(
    ("first", "second", "ends_in"),
    [("live", "live", "live"), ("live", "backfill", "live"), ("backfill", "live", "live"), ("backfill",) * 3],
)
def test_a_live_event_moves_a_waiting_login_to_the_live_lane_and_a_backfill_never_moves_it_back(
    ledger: Ledger, clock: Clock, redis_client: Redis, first: str, second: str, ends_in: str
) -> None:
    ledger.record([replace(FIRST, lane=Lane(first))])
    ledger.record([replace(FIRST, occurred_us=LATER_US, lane=Lane(second))])
    assert lanes(redis_client) == {ends_in: [(b"lgn_0", clock.ms)]}


@pytest.mark.parametrize(
    ("first", "lane", "ends_in"),
    [("live", "live", "live"), ("live", "backfill", "live"), ("backfill", "live", "live"), ("backfill",) * 3],
)
def test_a_login_in_flight_may_only_move_to_the_live_lane_and_is_not_due_meanwhile(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any, first: str, lane: str, ends_in: str
) -> None:
    ledger.record([replace(FIRST, lane=Lane(first))])
    (call,) = claim().claims
    ledger.record([replace(FIRST, occurred_us=LATER_US, lane=Lane(lane))])
    assert lanes(redis_client) == {}
    settle(call, "applied")
    assert lanes(redis_client) == {ends_in: [(b"lgn_0", clock.ms)]}


@pytest.mark.parametrize("lane", list(Lane))
def test_a_login_at_rest_takes_the_lane_of_the_next_event(
    ledger: Ledger, clock: Clock, redis_client: Redis, claim: Any, settle: Any, lane: Lane
) -> None:
    ledger.record([FIRST])
    settle(claim().claims[0], "applied")
    ledger.record([replace(FIRST, occurred_us=LATER_US, lane=lane)])
    assert lanes(redis_client) == {str(lane): [(b"lgn_0", clock.ms)]}


def test_an_event_further_ahead_than_the_limit_is_not_recorded(
    ledger: Ledger, clock: Clock, redis_client: Redis
) -> None:
    furthest = (clock.ms + 60_000) * 1000
    wishes = [replace(FIRST, occurred_us=furthest + after, reference=f"lgn_{after}") for after in (0, 1)]
    assert ledger.record(wishes, furthest_ahead_seconds=60) == ["recorded", "ahead"]
    assert not redis_client.exists("nightly:login:lgn_1")
    assert tally(redis_client) == {"recorded": 1}


def test_a_record_by_redis_own_clock_is_due_now(redis_client: Redis) -> None:
    before = Views(redis_client).now_ms()
    Ledger(redis_client).record([FIRST])
    after = Views(redis_client).now_ms()
    ((_, due_at),) = redis_client.zrange(f"nightly:due:{INSTANCE}:live", 0, -1, withscores=True)
    assert before <= due_at <= after


def test_an_event_is_recorded_even_if_the_letter_of_its_login_is_gone(
    ledger: Ledger, redis_client: Redis, claim: Any, settle: Any
) -> None:
    ledger.record([FIRST])
    settle(claim().claims[0], "dead", code="DISABLED_LOGIN")
    redis_client.delete("nightly:letter:dl-1")
    assert ledger.record([replace(FIRST, occurred_us=LATER_US)]) == ["recorded"]
    assert not redis_client.exists("nightly:letter:dl-1")


def test_an_event_too_far_ahead_does_not_stop_the_others(ledger: Ledger, redis_client: Redis) -> None:
    ahead = replace(FIRST, reference="lgn_1", occurred_us=4_000_000_000_000_000)
    assert ledger.record([ahead, FIRST, ahead]) == [Recorded.AHEAD, Recorded.RECORDED, Recorded.AHEAD]
    assert redis_client.keys("nightly:login:*") == [LOGIN.encode()]
