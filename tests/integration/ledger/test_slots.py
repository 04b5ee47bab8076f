"""How many reconcilers a worker runs, and when a slot is free again."""

import json

import pytest
from redis import Redis

from tests.integration.ledger.conftest import INSTANCE, Clock
from worker.ledger import Ledger

MINE = {INSTANCE: "proven-one"}


@pytest.mark.parametrize(("slots", "places"), [(None, 1), (1, 1), (2, 1), (4, 3)])
def test_a_worker_runs_one_reconciler_less_than_its_slots_and_at_least_one(
    ledger: Ledger, slots: int | None, places: int
) -> None:
    if slots is not None:
        ledger.pulse({}, worker="worker", slots=slots)
    taken = [ledger.join_reconcilers("worker", str(owner)) for owner in range(places + 1)]
    assert taken == [*range(1, places + 1), 0]


def test_each_worker_has_its_own_slots(ledger: Ledger) -> None:
    assert ledger.join_reconcilers("worker", "a") == 1
    assert ledger.join_reconcilers("worker2", "a") == 2
    assert ledger.join_reconcilers("work", "a") == 3
    assert not ledger.join_reconcilers("worker", "b")


def test_renewing_a_slot_keeps_the_hint(ledger: Ledger, redis_client: Redis) -> None:
    ledger.join_reconcilers("worker", "a")
    redis_client.set("nightly:hint", "1")
    ledger.join_reconcilers("worker", "a")
    assert redis_client.exists("nightly:hint")


def test_a_slot_is_kept_for_three_seconds(ledger: Ledger, clock: Clock) -> None:
    ledger.join_reconcilers("worker", "a")
    clock.ms += 2_999
    assert not ledger.join_reconcilers("worker", "b")
    clock.ms += 1
    assert ledger.join_reconcilers("worker", "b")


def test_a_slot_from_before_the_clock_was_set_back_is_freed(ledger: Ledger, clock: Clock, redis_client: Redis) -> None:
    redis_client.zadd("nightly:reconcilers", {"a|1": clock.ms + 3_000, "a|2": clock.ms + 3_001, "a|3": clock.ms})
    ledger.pulse({})
    assert redis_client.zrange("nightly:reconcilers", 0, -1) == [b"a|1"]


def test_a_pulse_frees_the_slots_of_its_own_processes_that_are_gone(ledger: Ledger, redis_client: Redis) -> None:
    def pulse(*pids: int | None, slots: int = 3) -> bool:
        redis_client.delete("nightly:hint:k1")
        about = {"processes": pids, "instances": [INSTANCE], "keys": ["k1"]}
        return ledger.pulse(MINE, worker="w", slots=slots, about=about).should_wake

    pulse(71, 72)
    for worker, owner in [("w", "71-ab"), ("w", "72-cd"), ("w2", "70-ef")]:
        ledger.join_reconcilers(worker, owner)
    assert not pulse(71, 72)
    assert not pulse(71, None)
    assert redis_client.zrange("nightly:reconcilers", 0, -1) == [b"w2|70-ef", b"w|71-ab"]
    assert not pulse(slots=0), "no heartbeat"
    assert pulse(7, 171, 711)
    assert redis_client.zrange("nightly:reconcilers", 0, -1) == [b"w2|70-ef"]
    assert "processes" not in json.loads(redis_client.hget("nightly:workers", "w"))
