"""Random schedules against the real Lua on a real Redis: P2 to P6 hold in every one, after every step."""

import os
from collections import Counter
from random import Random

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from redis import Redis

from tests.integration.ledger.schedule import Schedule

SCHEDULES = int(os.environ.get("NIGHTLY_SCHEDULES", "200"))
LEAST = 3
MUST_BE_SEEN = (
    "event recorded",
    "event duplicate",
    "event superseded",
    "claim while a lost one is out",
    "an earlier call may still land",
    "lease lost",
    "applied -> applied",
    "applied -> overtaken",
    "dead -> overtaken",
    "dead -> parked_new_group",
    "throttled -> waiting",
    "transient -> waiting",
    "halt -> halted_now",
    "unsent -> unsent",
    "written by a stopped worker: due",
    "written by a stopped worker: flight",
    "written by a stopped worker: done",
    "replayed",
    "resolved",
)


def test_every_promise_holds_in_random_schedules(redis_client: Redis) -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=SCHEDULES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(st.lists(st.integers(0, 2**20), min_size=50, max_size=100))
    @example(list(range(500)))
    def holds(seeds: list[int]) -> None:
        schedule = Schedule(redis_client, seen)
        for seed in seeds:
            schedule.step(Random(seed))
        schedule.come_to_rest()

    holds()
    rare = {what: seen[what] for what in MUST_BE_SEEN if seen[what] < LEAST}
    assert not rare, f"the schedules hardly touched {rare}; seen: {dict(seen)}"
