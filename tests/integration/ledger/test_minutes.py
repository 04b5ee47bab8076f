"""The counters that heartbeats note once a minute: bounded, with gaps shown as gaps, whatever the clock does."""

import json
from typing import Any

import pytest
from redis import Redis

from tests.integration.ledger.conftest import INSTANCE, Clock, claim_all, wishes
from worker.ledger import Ledger
from worker.ledger.minutes import MINUTE_MS, Minute, Minutes

NOTES = "nightly:minutes"


@pytest.fixture
def minutes(redis_client: Redis, clock: Clock) -> Minutes:
    clock.ms = clock.ms // MINUTE_MS * MINUTE_MS + 1000
    return Minutes(redis_client, now_ms=clock)


def last(minutes: Minutes, *, instance: str | None = None) -> Minute | None:
    """Return the last whole minute; None: it is a gap."""
    return minutes.series(minutes=1, instance=instance)[0]


def beat(ledger: Ledger, clock: Clock, *, after_ms: int = 0) -> None:
    clock.ms += after_ms
    ledger.pulse({}, worker="worker", slots=1)


def test_a_minute_has_what_happened_between_two_notes(
    ledger: Ledger, clock: Clock, minutes: Minutes, claim: Any, settle: Any
) -> None:
    beat(ledger, clock)
    began = clock.ms // MINUTE_MS * MINUTE_MS
    ledger.record(wishes(5))
    first, second, third = claim_all(clock, claim, 3)
    settle(first, "applied")
    settle(second, "transient", code="http_503", delay_seconds=600)
    settle(third, "dead", code="INVALID_LOGIN")
    beat(ledger, clock, after_ms=30_000)
    assert last(minutes) is None
    clock.ms = began + MINUTE_MS
    beat(ledger, clock)
    assert last(minutes) == Minute(
        began,
        recorded=5,
        applied=1,
        calls=3,
        failures=2,
        dead_lettered=1,
        due=2,
        later=1,
        in_flight=0,
        oldest_due_seconds=59,
    )
    assert last(minutes, instance=INSTANCE) == last(minutes)
    assert last(minutes, instance="acme") == Minute(began)


def test_only_the_first_heartbeat_of_a_minute_writes(ledger: Ledger, clock: Clock, redis_client: Redis) -> None:
    for _ in range(121):
        beat(ledger, clock, after_ms=1000)
    assert redis_client.llen(NOTES) == 3
    ledger.pulse({}, worker="", slots=0)
    assert redis_client.llen(NOTES) == 3


def test_minutes_without_a_worker_are_a_gap(ledger: Ledger, clock: Clock, minutes: Minutes) -> None:
    for after_ms in (0, MINUTE_MS, 3 * MINUTE_MS, MINUTE_MS):
        beat(ledger, clock, after_ms=after_ms)
    is_known = [minute is not None for minute in minutes.series(minutes=6)]
    assert is_known == [False, True, False, False, False, True]
    assert [minute is not None for minute in minutes.series(minutes=6, step=3)] == [True, True]


def test_notes_are_bounded(ledger: Ledger, clock: Clock, minutes: Minutes, redis_client: Redis) -> None:
    redis_client.rpush(NOTES, *(f"[{clock.ms - at * MINUTE_MS},{{}}]" for at in range(2000, 0, -1)))
    beat(ledger, clock)
    assert redis_client.llen(NOTES) == 1500
    series = minutes.series()
    assert len(series) == 1440
    assert None not in series


def test_a_clock_that_is_set_back_makes_a_gap_and_no_more(
    ledger: Ledger, clock: Clock, minutes: Minutes, redis_client: Redis
) -> None:
    for _ in range(5):
        beat(ledger, clock, after_ms=MINUTE_MS)
    clock.ms -= 3 * MINUTE_MS
    for _ in range(3):
        beat(ledger, clock, after_ms=MINUTE_MS)
    times = [json.loads(raw)[0] // MINUTE_MS for raw in redis_client.lrange(NOTES, 0, -1)]
    assert times == sorted(set(times))
    assert None not in minutes.series(minutes=4)


def test_unreadable_notes_and_counters_that_fall_are_gaps(
    ledger: Ledger, clock: Clock, minutes: Minutes, redis_client: Redis
) -> None:
    ledger.record(wishes(2))
    beat(ledger, clock)
    redis_client.delete(f"nightly:tally:{INSTANCE}")
    beat(ledger, clock, after_ms=MINUTE_MS)
    assert last(minutes) is None
    for note in ("", "[", "{}", "[1]", f'[{clock.ms},{{"{INSTANCE}":["x"]}}]'):
        redis_client.rpush(NOTES, note)
    beat(ledger, clock, after_ms=MINUTE_MS)
    assert minutes.series(minutes=10)[-1] == Minute(
        clock.ms // MINUTE_MS * MINUTE_MS - MINUTE_MS, due=2, oldest_due_seconds=120
    )
    redis_client.rpush(NOTES, f'[{clock.ms},{{"{INSTANCE}":[1]}}]')
    beat(ledger, clock, after_ms=MINUTE_MS)
    assert last(minutes) is None
