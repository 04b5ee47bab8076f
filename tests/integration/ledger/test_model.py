"""Random schedules on the real scripts and a real Redis: P2 to P6 hold after every step."""

import os
from collections import Counter
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from tests.integration.ledger.schedule import Schedule
from tests.integration.ledger.world import LOGINS

SCHEDULES = int(os.environ.get("NIGHTLY_SCHEDULES", "400"))
BEGINNING = 180_000
"""The first seed of a long schedule in which everything that must be seen happens."""
LONG = 5000
MUST_BE_SEEN = (
    "event recorded",
    "event duplicate",
    "event superseded",
    "claim while a lost one is out",
    "claimed with a settlement",
    "an earlier call may still land",
    "lease lost",
    "applied -> applied",
    "applied -> overtaken",
    "dead -> overtaken",
    "dead -> dead_lettered",
    "throttled -> waiting",
    "transient -> waiting",
    "halt -> halted",
    "storm",
    "unreachable",
    "probe",
    "failed in an outage",
    "opened after outage",
    "opened after storm",
    "opened after halt",
    "opened after operator",
    "reply lost",
    "asked again late -> repeated",
    "asked again late -> fenced",
    "unsent -> unsent",
    "timed out for a stopped worker: due",
    "timed out for a stopped worker: flight",
    "timed out for a stopped worker: done",
    "timed out for a stopped worker: dead",
    "the clock steps forward",
    "written by a stopped worker: due",
    "written by a stopped worker: flight",
    "written by a stopped worker: done",
    "feeding: fed",
    "feeding: paused",
    "feeding: shut",
    "fed, and waiting",
    "fed, and already",
    "fed as is, and due",
    "fed as is, and flight",
    "fed as is, and dead",
    "fed as is, and done",
    "fed, and superseded",
    "fed, and duplicate",
    "fed, and invalid",
    "row applied",
    "row superseded",
    "row dead",
    "row waits again",
    "pause a backfill",
    "resume a backfill",
    "cancel a backfill",
    "an ended backfill",
    "bulk: fed",
    "bulk: paused",
    "bulk: shut",
    "bulk replay: waiting",
    "bulk replay: closed",
    "bulk replay: superseded",
    "bulk resolve: resolved",
    "letter superseded",
    "letter dead",
    "pause a bulk job",
    "a second bulk job is refused",
    "an ended bulk job",
    "replayed",
    "resolved",
    "corrected login: recorded",
    "corrected login: superseded",
    "corrected wish: recorded",
)


def test_every_promise_holds_in_a_long_schedule_that_meets_everything(redis_client: Redis) -> None:
    seen: Counter[str] = Counter()
    schedule = Schedule(redis_client, seen)
    for seed in range(BEGINNING, BEGINNING + LONG):
        schedule.step(Random(seed))
    schedule.come_to_rest()
    schedule.check_audit()
    rare = {what: seen[what] for what in MUST_BE_SEEN if not seen[what]}
    assert not rare, f"the schedule never touched {rare}; seen: {dict(seen)}"


@pytest.mark.parametrize("schedules", [SCHEDULES // 4] * 4, ids="0123")
def test_every_promise_holds_in_random_schedules(redis_client: Redis, schedules: int) -> None:
    """Parametrized so that several processes share the work."""

    @settings(
        max_examples=schedules,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
        print_blob=True,
    )
    @given(st.lists(st.integers(0, 2**20), min_size=20, max_size=50))
    def holds(seeds: list[int]) -> None:
        schedule = Schedule(redis_client, Counter())
        for seed in seeds:
            schedule.step(Random(seed))
        schedule.come_to_rest()
        schedule.check_audit()

    holds()


def test_the_same_seeds_give_the_same_schedule(redis_client: Redis) -> None:
    """Otherwise a failure could not be repeated: every login ends the same, and backfills have the same ids."""
    ends = []
    for _ in range(2):
        schedule = Schedule(redis_client, Counter())
        for seed in range(BEGINNING, BEGINNING + 300):
            schedule.step(Random(seed))
        logins = [redis_client.hgetall(f"nightly:login:{login}") for login in LOGINS]
        ends.append((logins, sorted(redis_client.keys("nightly:backfill:*"))))
    assert ends[0] == ends[1]
