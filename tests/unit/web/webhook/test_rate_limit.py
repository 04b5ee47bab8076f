"""The rate limit: any batch passes once, and over time no more than the rate."""

import pytest

from worker.web.webhook.rate_limit import Allowance


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_the_events_of_one_second_may_arrive_at_once(clock: Clock) -> None:
    allowance = Allowance(10, clock=clock)
    assert [allowance.take(1) for _ in range(10)] == [0] * 10
    assert allowance.take(1) == pytest.approx(0.1)
    clock.now += 0.1001
    assert allowance.take(1) == 0


def test_a_batch_may_exceed_the_rate_and_the_next_request_waits_for_it(clock: Clock) -> None:
    allowance = Allowance(10, clock=clock)
    assert allowance.take(500) == 0
    wait = allowance.take(1)
    assert wait == pytest.approx(49.1)
    clock.now += wait + 1e-6
    assert allowance.take(1) == 0


def test_a_refused_request_costs_no_rate(clock: Clock) -> None:
    allowance = Allowance(1, clock=clock)
    allowance.take(1)
    assert allowance.take(1) == allowance.take(500) == pytest.approx(1)


def test_at_most_one_second_of_rate_is_saved_and_rates_below_one_work(clock: Clock) -> None:
    allowance = Allowance(0.5, clock=clock)
    clock.now += 1000
    assert allowance.take(1) == 0
    assert allowance.take(1) == pytest.approx(2)
