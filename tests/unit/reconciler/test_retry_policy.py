from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.flinks.outcome import Outcome, Verdict
from worker.reconciler.retry_policy import Exhausted, Retry, RetryLimits, decide

LIMITS = RetryLimits(max_attempts=20, max_age_seconds=86_400, settle_seconds=20)
FAILED = Verdict(Outcome.TRANSIENT, "http_503")
ALMOST_ONE = 1 - 2**-53


def always(value: float) -> Callable[[], float]:
    return lambda: value


def delay_of(
    verdict: Verdict, *, drawn: float, attempts: int = 1, waiting_seconds: float = 0, limits: RetryLimits = LIMITS
) -> float:
    decision = decide(verdict, attempts=attempts, waiting_seconds=waiting_seconds, limits=limits, random=always(drawn))
    assert isinstance(decision, Retry)
    return decision.delay_seconds


def test_the_window_doubles_from_one_second_to_an_hour() -> None:
    windows = [delay_of(FAILED, attempts=attempts, drawn=1) for attempts in range(1, 14)]
    assert windows == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600]


def test_the_delay_stays_bounded_for_any_number_of_attempts() -> None:
    patient = RetryLimits(max_attempts=10_000, max_age_seconds=1, settle_seconds=0)
    assert delay_of(FAILED, attempts=9_999, drawn=1, limits=patient) == 3600


def test_a_wait_is_drawn_from_the_whole_window() -> None:
    assert delay_of(FAILED, attempts=12, drawn=0) == 0
    assert delay_of(FAILED, attempts=12, drawn=0.25) == 512


def test_a_wait_without_a_floor_is_drawn_once() -> None:
    draws = iter([0.0, 0.9])
    decision = decide(FAILED, attempts=1, waiting_seconds=0, limits=LIMITS, random=lambda: next(draws))
    assert decision == Retry(0)


def test_twenty_attempts_last_for_hours() -> None:
    longest = sum(delay_of(FAILED, attempts=attempts, drawn=1) for attempts in range(1, 20))
    assert 8 * 3600 < longest < 8.5 * 3600


def test_a_wish_is_exhausted_by_attempts_or_by_age() -> None:
    def decided(attempts: int, waiting_seconds: float) -> object:
        return decide(FAILED, attempts=attempts, waiting_seconds=waiting_seconds, limits=LIMITS, random=always(0))

    assert decided(19, 86_399) == Retry(0)
    assert decided(20, 0) == Exhausted()
    assert decided(1, 86_400) == Exhausted()


def test_a_busy_card_waits_tens_of_seconds_at_first() -> None:
    busy = Verdict(Outcome.TRANSIENT, "CARD_IN_USE", is_slow_to_clear=True)
    assert delay_of(busy, drawn=0) == 10
    assert delay_of(busy, drawn=1) == 30
    assert [delay_of(busy, attempts=attempts, drawn=1) for attempts in (2, 5, 6)] == [60, 480, 960]


def test_an_ambiguous_call_waits_at_least_the_settling_time() -> None:
    ambiguous = Verdict(Outcome.TRANSIENT, "timeout", is_ambiguous=True)
    assert delay_of(ambiguous, drawn=0) == 20
    assert delay_of(ambiguous, drawn=0.5) == 21.5
    assert delay_of(ambiguous, attempts=15, drawn=0.5) == 1800


def test_retry_after_is_a_minimum_with_jitter() -> None:
    told = Verdict(Outcome.TRANSIENT, "http_503", retry_after_seconds=100)
    assert delay_of(told, drawn=0) == 100
    assert delay_of(told, drawn=0.5) == 105.5
    assert delay_of(told, attempts=15, drawn=0.5) == 1800
    told_a_day = Verdict(Outcome.TRANSIENT, "http_503", retry_after_seconds=86_400)
    assert delay_of(told_a_day, drawn=1) == 86_460


def test_being_throttled_waits_seconds_and_never_exhausts() -> None:
    throttled = Verdict(Outcome.THROTTLED, "http_429")
    assert delay_of(throttled, attempts=500, waiting_seconds=1e9, drawn=0) == 1
    assert delay_of(throttled, attempts=500, waiting_seconds=1e9, drawn=1) == 5
    told = Verdict(Outcome.THROTTLED, "http_429", retry_after_seconds=30)
    assert delay_of(told, drawn=0) == 30


@pytest.mark.parametrize("outcome", [Outcome.APPLIED, Outcome.DEAD, Outcome.HALT])
def test_a_final_outcome_has_no_delay(outcome: Outcome) -> None:
    with pytest.raises(ValueError, match="is final"):
        decide(Verdict(outcome, "x"), attempts=1, waiting_seconds=0, limits=LIMITS, random=always(0))


@given(
    attempts=st.integers(0, 999),
    waiting_seconds=st.floats(0, 8760 * 3600),
    drawn=st.floats(0, ALMOST_ONE),
    retry_after=st.none() | st.floats(0, 86_400),
    flags=st.tuples(st.booleans(), st.booleans()),
    outcome=st.sampled_from([Outcome.TRANSIENT, Outcome.THROTTLED]),
)
def test_every_wait_is_finite_and_above_every_floor(
    attempts: int,
    waiting_seconds: float,
    drawn: float,
    retry_after: float | None,
    flags: tuple[bool, bool],
    outcome: Outcome,
) -> None:
    verdict = Verdict(outcome, "x", retry_after_seconds=retry_after, is_ambiguous=flags[0], is_slow_to_clear=flags[1])
    limits = RetryLimits(max_attempts=1000, max_age_seconds=8761 * 3600, settle_seconds=20)
    waited = delay_of(verdict, attempts=attempts, waiting_seconds=waiting_seconds, drawn=drawn, limits=limits)
    assert max(retry_after or 0, 20 if flags[0] else 0, 10 if flags[1] else 0) <= waited <= 86_460
