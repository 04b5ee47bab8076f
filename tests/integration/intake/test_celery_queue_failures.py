"""Celery's queue on a broker that is full, a replica, or used by others: no message is lost."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery
from redis import Redis
from structlog.testing import capture_logs

from sandbox.stack import EmbeddedRedis, OrphanGuard
from tests.integration.intake.celery_queue import Memory, reader_of, send
from tests.waiting import eventually
from worker.broker.celery_config import kombu_address
from worker.intake.celery_queue import TAKEN, QueueReader
from worker.intake.poison import Deliveries
from worker.operations.waiting import unrecorded
from worker.vault.vault import Vault


@pytest.fixture
def intake() -> Memory:
    return Memory()


@pytest.fixture
def server(tmp_path: Path, orphan_guard: OrphanGuard) -> Iterator[EmbeddedRedis]:
    """A Redis to reconfigure."""
    with EmbeddedRedis(tmp_path, name="own", guard=orphan_guard, takes_config=True) as server:
        yield server


def test_a_full_broker_loses_no_message_is_reported_once_and_can_still_be_emptied(
    server: EmbeddedRedis, redis_client: Redis, intake: Memory
) -> None:
    """The ledger, `redis_client`, has room. Redis refuses the broker's client every write outside a script."""
    with (
        Redis.from_url(server.url) as broker,
        Celery(broker=kombu_address(server.url)[0], set_as_current=False) as producer,
    ):
        deliveries: Any = Deliveries(redis_client, Vault([bytes(32)]))
        parts: Any = broker, intake, deliveries
        reader = QueueReader(*parts, name="one", on_recorded=lambda: None)
        reader.join()
        logins = [str(number) for number in range(50)]
        for login in logins:
            send(producer, login)
        broker.config_set("maxmemory", 1)
        with pytest.raises(redis.exceptions.OutOfMemoryError):
            broker.lpush("account-events", "x")
        with capture_logs() as lines:
            while unrecorded(broker):
                reader.step()
            assert intake.logins == logins
            assert reader.step() == 0
            for _ in range(3):  # it tries to wait, which a full Redis refuses
                with pytest.raises(redis.exceptions.OutOfMemoryError):
                    reader.step()
            broker.config_set("maxmemory", 0)
            send(producer, "after")
            assert reader.step() == 1
        assert [line["event"] for line in lines] == ["broker_full", "broker_has_room"]


def test_a_connection_to_a_replica_is_closed_and_a_foreign_value_under_our_key_loses_no_message(
    server: EmbeddedRedis, intake: Memory
) -> None:
    with (
        Redis.from_url(server.url) as broker,
        Celery(broker=kombu_address(server.url)[0], set_as_current=False) as producer,
    ):
        reader = reader_of(broker, intake)
        send(producer, "login-1")
        broker.replicaof("127.0.0.1", "1")
        with pytest.raises(redis.ResponseError):
            reader.step()
        assert not broker.connection_pool._available_connections or not any(
            connection._sock for connection in broker.connection_pool._available_connections
        )
        broker.replicaof("NO", "ONE")
        broker.rename("account-events", "aside")
        broker.set("account-events", "not a list")
        with pytest.raises(redis.ResponseError):
            reader.step()
        broker.rename("aside", "account-events")
        broker.rename(TAKEN, "aside")
        broker.set(TAKEN, "not a stream")
        with pytest.raises(redis.ResponseError):
            reader.step()
        assert broker.llen("account-events") == 1
        broker.rename("aside", TAKEN)
        assert eventually(reader.step) == 1
    assert intake.logins == ["login-1"]
