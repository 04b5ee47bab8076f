"""A script that makes logins due wakes one reconciler that waits for their instance, which claims them at once."""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from redis import Redis

from tests.integration.ledger.conftest import INSTANCE, Clock, wishes
from tests.waiting import eventually
from worker.ledger import ClaimReply, Ledger

MINE = {INSTANCE: "proven-one"}
WAKE_KEY = f"nightly:wake:{INSTANCE}"


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def is_woken(client: Redis) -> bool:
    """Return whether a wake-up waits, and take it."""
    return client.lpop(WAKE_KEY) is not None


def test_an_event_wakes_one_of_two_waiting_reconcilers(ledger: Ledger, threads: ThreadPoolExecutor, claim: Any) -> None:
    waiting: list[Future[ClaimReply]] = [threads.submit(claim, wait_seconds=2) for _ in range(2)]
    eventually(lambda: ledger.redis.info("clients")["blocked_clients"] >= 2, describe="two blocked clients")
    began = time.monotonic()
    ledger.record(wishes(1))
    eventually(lambda: any(one.done() for one in waiting), describe="a claim")
    assert time.monotonic() - began < 1
    assert sorted(len(one.result().claims) for one in waiting) == [0, 1]
    assert time.monotonic() - began > 1, "the other one waited on"


def test_a_claim_that_nobody_wakes_is_made_all_the_same(redis_client: Redis, ledger: Ledger, claim: Any) -> None:
    ledger.record(wishes(1))
    assert is_woken(redis_client)
    assert len(claim(wait_seconds=0.05).claims) == 1


def test_a_waiting_claim_survives_the_loss_of_the_scripts(redis_client: Redis, ledger: Ledger, claim: Any) -> None:
    ledger.record(wishes(1))
    redis_client.script_flush()
    assert len(claim(wait_seconds=0.05).claims) == 1


def test_a_claim_is_not_lost_if_redis_refuses_to_wait(redis_client: Redis, ledger: Ledger, claim: Any) -> None:
    redis_client.set(WAKE_KEY, "no list")
    claim()  # Redis has the script now
    began = time.monotonic()
    assert claim(wait_seconds=0.2).state == "idle"
    assert time.monotonic() - began > 0.2, "a caller that waits for nothing would not rest"
    ledger.record(wishes(1))
    assert len(claim(wait_seconds=0.05).claims) == 1


def test_events_recorded_while_nobody_waits_leave_one_wake_up(ledger: Ledger, redis_client: Redis) -> None:
    for count in (1, 2):
        ledger.record(wishes(count))
    assert redis_client.lrange(WAKE_KEY, 0, -1) == [b"1"]


def test_only_logins_that_are_due_now_wake_anybody(
    ledger: Ledger, redis_client: Redis, claim: Any, settle: Any
) -> None:
    (event,) = wishes(1)
    ledger.record([event])
    assert is_woken(redis_client)
    ledger.record([event])  # a duplicate
    (call,) = claim().claims
    ledger.record([replace(event, occurred_us=event.occurred_us + 1, event_id="newer")])  # the login is in flight
    assert not is_woken(redis_client)
    settle(call, "throttled", delay_seconds=5)
    assert not is_woken(redis_client)


def test_a_lost_lease_wakes_a_reconciler(ledger: Ledger, redis_client: Redis, clock: Clock, claim: Any) -> None:
    ledger.record(wishes(1))
    assert is_woken(redis_client)
    assert claim(lease_seconds=1).claims
    clock.ms += 1001
    assert ledger.pulse(MINE, worker="worker", slots=2).leases_lost == 1
    assert is_woken(redis_client)
