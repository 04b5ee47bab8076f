"""The page accepts events for the instances of the live workers, without their settings."""

import json
import time
from datetime import UTC, datetime

import pytest
from redis import Redis

from worker.config.settings import Settings
from worker.errors import InvalidEvent
from worker.events.contract import LifecycleEvent
from worker.operations.workers_requirements import WorkersRequirements


def check(client: Redis, instance: str) -> None:
    event = LifecycleEvent("a", instance, wants_active=True, occurred_at=datetime.now(UTC), event_id="evt-1")
    WorkersRequirements(Settings(event_max_ahead_seconds=60), client).check(event, is_sealed=False)


def test_an_event_for_an_instance_of_a_live_worker_is_accepted(redis_client: Redis) -> None:
    heartbeat = {"at": time.time() * 1000, "instances": ["acme", "acme-us"]}
    redis_client.hset("nightly:workers", "one", json.dumps(heartbeat))
    for instance in ("acme-us", "acme"):
        check(redis_client, instance)
    with pytest.raises(InvalidEvent, match="not one of the instances of the workers"):
        check(redis_client, "other")


def test_while_no_worker_is_alive_every_instance_is_accepted(redis_client: Redis) -> None:
    check(redis_client, "other")
