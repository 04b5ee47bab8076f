"""The age of a failing wish: time without workers and time for which Flinks asked us to wait do not count."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from redis import Redis

from tests.integration.ledger.conftest import INSTANCE, MINUTE_MS, Clock, wishes
from tests.people import ANN
from worker.ledger import Ledger
from worker.ledger.gate_control import GateKeeper

HOUR_MS = 60 * MINUTE_MS
Age = Callable[[], int]


@pytest.fixture
def keeper(redis_client: Redis, clock: Clock) -> GateKeeper:
    return GateKeeper(redis_client, now_ms=clock)


@pytest.fixture
def fails(ledger: Ledger, claim: Any, settle: Any) -> Callable[..., None]:
    """Let the next call of the login fail."""

    def fails(**fields: Any) -> None:
        terms: dict[str, Any] = {"code": "CARD_IN_USE", "delay_seconds": 0} | fields
        settle(claim(max_in_flight=1000).claims[0], "transient", **terms)

    ledger.record(wishes(1))
    return fails


@pytest.fixture
def age(clock: Clock, claim: Any, settle: Any) -> Age:
    """Return the age of the login's wish as its next claim says it, ms; the call is not made."""

    def age() -> int:
        (call,) = claim().claims
        settle(call, "unsent")
        clock.ms += 1000
        return clock.ms - 1000 - call.first_failure_ms

    return age


def live(ledger: Ledger, clock: Clock, ms: int) -> None:
    """Let time pass with a live worker."""
    for _ in range(ms // 10_000):
        clock.ms += 10_000
        ledger.pulse({}, worker="w", slots=1)
    clock.ms += ms % 10_000


@pytest.mark.parametrize("first", ["the claim", "the sign of life"])
def test_time_in_which_no_worker_was_alive_does_not_count(
    ledger: Ledger, clock: Clock, fails: Any, age: Age, first: str
) -> None:
    ledger.pulse({}, worker="w", slots=1)
    fails()
    live(ledger, clock, MINUTE_MS)
    clock.ms += 30 * HOUR_MS
    if first == "the sign of life":
        ledger.pulse({}, worker="w", slots=1)
    assert age() == MINUTE_MS
    ledger.pulse({}, worker="another", slots=1)
    counted = age()
    ledger.pulse({}, worker="w", slots=1)
    assert age() == counted + 1000, "it is counted once"


@pytest.mark.parametrize("first", ["the claim", "the sign of life"])
@pytest.mark.parametrize(("silence_ms", "counts"), [(10_000, True), (10_001, False)])
def test_ten_seconds_without_a_heartbeat_are_not_time_without_workers(
    ledger: Ledger, clock: Clock, fails: Any, age: Age, first: str, silence_ms: int, *, counts: bool
) -> None:
    ledger.pulse({}, worker="w", slots=1)
    fails()
    clock.ms += silence_ms
    if first == "the sign of life":
        ledger.pulse({}, worker="w", slots=1)
    assert age() == (silence_ms if counts else 0)


def test_a_pulse_without_slots_is_no_heartbeat(ledger: Ledger, clock: Clock, fails: Any, age: Age) -> None:
    ledger.pulse({}, worker="w", slots=1)
    fails()
    for _ in range(10):
        clock.ms += MINUTE_MS
        ledger.pulse({INSTANCE: "proven-one"}, worker="publisher")
    ledger.pulse({}, worker="w", slots=1)
    assert age() == 0


def test_a_failure_after_time_without_workers_keeps_its_full_age(
    ledger: Ledger, clock: Clock, fails: Any, age: Age
) -> None:
    ledger.pulse({}, worker="w", slots=1)
    clock.ms += HOUR_MS
    fails()
    ledger.pulse({}, worker="w", slots=1)
    live(ledger, clock, MINUTE_MS)
    assert age() == MINUTE_MS


@pytest.mark.parametrize(("shut_at", "opened_at"), [(2, 5), (2, 30), (2, 80), (30, 50), (30, 80), (75, 80)])
def test_time_behind_a_shut_gate_and_without_workers_is_counted_once(
    ledger: Ledger, clock: Clock, fails: Any, age: Age, keeper: GateKeeper, shut_at: int, opened_at: int
) -> None:
    """Times are minutes after the failure; no worker is live from 10 to 70."""
    fails()
    for minute in range(100):
        if minute == shut_at:
            keeper.close(INSTANCE, by=ANN, reason="")
        if minute == opened_at:
            keeper.open(INSTANCE, by=ANN)
        if minute in range(10, 70):
            clock.ms += MINUTE_MS
        else:
            live(ledger, clock, MINUTE_MS)
    held = set(range(10, 70)) | set(range(shut_at, opened_at))
    assert 0 <= (100 - len(held)) * MINUTE_MS - age() <= 10_000, "exact to one heartbeat in ten seconds"


def test_a_step_of_redis_clock_does_not_age_a_wish(ledger: Ledger, clock: Clock, fails: Any, age: Age) -> None:
    ledger.pulse({}, worker="w", slots=1)
    fails()
    clock.ms += 48 * HOUR_MS
    ledger.pulse({}, worker="w", slots=1)
    assert age() == 0
    clock.ms -= 47 * HOUR_MS
    ledger.pulse({}, worker="w", slots=1)
    clock.ms += 1000
    ledger.redis.zadd(f"nightly:due:{INSTANCE}:live", {"lgn_0": clock.ms})
    assert age() == 0


@pytest.fixture
def throttle(ledger: Ledger, clock: Clock, claim: Any, settle: Any) -> Callable[[int], None]:
    """Let Flinks ask the whole instance to wait, seconds."""
    ledger.record([replace(wish, reference=f"lgn_throttled_{at}") for at, wish in enumerate(wishes(9))])
    calls = iter(claim(at_most=9, calls_per_second=1000, lease_seconds=9999).claims)
    clock.ms += 1000

    def throttle(seconds: int) -> None:
        settle(next(calls), "throttled", delay_seconds=86_400, retry_after_seconds=seconds)

    return throttle


@pytest.mark.parametrize("asked", [[3600], [1800, 3600], [3600, 1800]])
def test_a_pause_that_flinks_asked_for_does_not_count(
    clock: Clock, throttle: Any, fails: Any, age: Age, asked: list[int]
) -> None:
    fails()
    clock.ms += MINUTE_MS
    for seconds in asked:
        throttle(seconds)
    clock.ms += HOUR_MS
    assert age() == MINUTE_MS
    clock.ms += MINUTE_MS
    assert age() == 2 * MINUTE_MS + 1000


def test_a_longer_pause_counts_only_the_time_that_it_adds(clock: Clock, throttle: Any, fails: Any, age: Age) -> None:
    fails()
    throttle(600)
    clock.ms += 5 * MINUTE_MS
    throttle(600)
    clock.ms += 30 * MINUTE_MS
    assert age() == 20 * MINUTE_MS


def test_a_first_failure_within_a_pause_ages_from_the_end_of_the_pause(
    ledger: Ledger, clock: Clock, throttle: Any, age: Age, claim: Any, settle: Any
) -> None:
    ledger.record(wishes(1))
    (call,) = claim().claims
    throttle(3600)
    clock.ms += 10 * MINUTE_MS
    settle(call, "transient", code="CARD_IN_USE")
    clock.ms += 55 * MINUTE_MS
    assert age() == 5 * MINUTE_MS


def test_a_pause_that_a_person_ends_counts_up_to_then(
    clock: Clock, throttle: Any, fails: Any, age: Age, keeper: GateKeeper
) -> None:
    fails()
    throttle(3600)
    clock.ms += 10 * MINUTE_MS
    keeper.open(INSTANCE, by=ANN)
    clock.ms += 10 * MINUTE_MS
    assert age() == 10 * MINUTE_MS
    clock.ms += HOUR_MS
    assert age() == 70 * MINUTE_MS + 1000


@pytest.mark.parametrize(("shut_at", "opened_at"), [(0, 5), (0, 70), (20, 70), (65, 70)])
def test_a_pause_and_a_shut_gate_are_counted_once(
    clock: Clock, throttle: Any, fails: Any, age: Age, keeper: GateKeeper, shut_at: int, opened_at: int
) -> None:
    """Times are minutes after the failure; the pause is from 10 to 60."""
    fails()
    for minute in range(80):
        if minute == shut_at:
            keeper.close(INSTANCE, by=ANN, reason="")
        if minute == 10:
            throttle(3000)
        if minute == opened_at:
            keeper.open(INSTANCE, by=ANN)
        clock.ms += MINUTE_MS
    held = set(range(10, 60)) | set(range(shut_at, opened_at))
    assert age() == (80 - len(held)) * MINUTE_MS


@pytest.mark.parametrize("attempts", [1, 3])
def test_a_wait_that_flinks_asked_for_one_login_does_not_count(
    clock: Clock, fails: Any, age: Age, attempts: int
) -> None:
    for _ in range(attempts):
        fails(code="http_503", delay_seconds=3600, retry_after_seconds=3600)
        clock.ms += HOUR_MS
    clock.ms += MINUTE_MS
    assert age() == MINUTE_MS


def test_a_wait_that_flinks_asked_for_never_gives_a_negative_age(clock: Clock, fails: Any, age: Age) -> None:
    fails(code="http_503", delay_seconds=0, retry_after_seconds=3600)
    clock.ms += MINUTE_MS
    assert age() == 0
