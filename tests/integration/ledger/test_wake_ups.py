"""A script that makes logins due wakes one reconciler that waits for their instance."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from redis import Redis

from tests.integration.ledger.conftest import INSTANCE, Clock, wishes
from tests.waiting import eventually
from worker.ledger import Ledger

MINE = {INSTANCE: "proven-one"}
SHORT = 0.05


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def waiting(ledger: Ledger, threads: ThreadPoolExecutor, count: int) -> list[Future[bool]]:
    """Return so many reconcilers that wait, once Redis knows of all of them."""
    started = [threads.submit(ledger.wait_for_due, INSTANCE, 2) for _ in range(count)]
    eventually(lambda: ledger.redis.info("clients")["blocked_clients"] >= count, describe="blocked clients")
    return started


def test_an_event_wakes_one_of_two_waiting_reconcilers(ledger: Ledger, threads: ThreadPoolExecutor) -> None:
    ended = waiting(ledger, threads, 2)
    ledger.record(wishes(3))
    assert sorted(one.result() for one in ended) == [False, True]


def test_events_recorded_while_nobody_waits_leave_one_wake_up(ledger: Ledger, redis_client: Redis) -> None:
    for count in (1, 2):
        ledger.record(wishes(count))
    assert redis_client.lrange(f"nightly:wake:{INSTANCE}", 0, -1) == [b"1"]
    assert ledger.wait_for_due(INSTANCE, SHORT)
    assert not ledger.wait_for_due(INSTANCE, SHORT)


def test_only_logins_that_are_due_now_wake_anybody(ledger: Ledger, claim: Any, settle: Any) -> None:
    ledger.record(wishes(1))
    assert ledger.wait_for_due(INSTANCE, SHORT)
    ledger.record(wishes(1))  # a duplicate
    (call,) = claim().claims
    ledger.record([replace(wishes(1)[0], occurred_us=wishes(1)[0].occurred_us + 1, event_id="newer")])  # in flight
    assert not ledger.wait_for_due(INSTANCE, SHORT)
    settle(call, "throttled", delay_seconds=5)
    assert not ledger.wait_for_due(INSTANCE, SHORT)
    assert not ledger.wait_for_due("another", SHORT)


def test_a_lost_lease_wakes_a_reconciler(ledger: Ledger, clock: Clock, claim: Any) -> None:
    ledger.record(wishes(1))
    assert ledger.wait_for_due(INSTANCE, SHORT)
    assert claim(lease_seconds=1, settle_seconds=0).claims
    clock.ms += 1001
    assert ledger.pulse(MINE, worker="worker", slots=2).leases_lost == 1
    assert ledger.wait_for_due(INSTANCE, SHORT)
