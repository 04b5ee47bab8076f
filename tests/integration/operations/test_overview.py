"""What the top of the home page says: counts of the last day, what waits, closed gates and alarms."""

import json

from pydantic import SecretStr
from redis import Redis

from tests.integration.ledger.conftest import INSTANCE, wishes
from worker.config.settings import Settings
from worker.ledger import Ledger
from worker.ledger.minutes import MINUTE_MS
from worker.operations.overview import Overview, read_overview


def read(redis_client: Redis, redis_url: str) -> Overview:
    return read_overview(redis_client, Settings(redis_url=SecretStr(redis_url)))


def test_an_empty_ledger_is_quiet(redis_client: Redis, redis_url: str) -> None:
    found = read(redis_client, redis_url)
    assert (found.events_in, found.waiting, found.unrecorded, found.ceiling) == (0, 0, 0, 0)
    assert (found.alarms, found.gates, found.calls_per_second) == ([], [], None)


def test_it_adds_up_minutes_and_names_closed_gates(redis_client: Redis, redis_url: str) -> None:
    ledger = Ledger(redis_client)
    ledger.record(wishes(3))
    end = ledger.now_ms() // MINUTE_MS * MINUTE_MS
    for at, counters in ((end - MINUTE_MS, [10, 5, 60, 4, 1]), (end, [40, 25, 180, 8, 2])):
        redis_client.rpush("nightly:minutes", json.dumps([at, {INSTANCE: [*counters, 0, 0, 0, 0]}]))
    redis_client.hset(f"nightly:rate:{INSTANCE}", "ceiling", 50)
    closed = {"state": "closed", "cause": "person", "by": "ann", "detail": "maintenance", "changed_at": str(end)}
    redis_client.hset(f"nightly:gate:{INSTANCE}", items=[text for pair in closed.items() for text in pair])
    found = read(redis_client, redis_url)
    assert (found.events_in, found.applied, found.failures) == (30, 20, 4)
    assert (found.calls_per_second, found.ceiling, found.waiting) == (2.0, 50, 3)
    (gate,) = found.gates
    assert (gate.instance, gate.reason, gate.needs_action) == (INSTANCE, "closed by ann: maintenance", True)
    assert [alarm.title for alarm in found.alarms] == [f"GATE CLOSED: {INSTANCE}", "NO WORKER"]
