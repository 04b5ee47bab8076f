"""INTAKE_REPLICAS: a message from any input is acknowledged only once the replicas have its event."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery
from redis import Redis

from sandbox.stack import EmbeddedRedis, OrphanGuard
from tests.integration.intake.celery_queue import send
from tests.integration.intake.conftest import event
from tests.waiting import eventually
from worker.broker.celery_config import kombu_address
from worker.errors import NotReplicated
from worker.events.channels import STREAM
from worker.events.contract import Requirements
from worker.intake.accept import Intake
from worker.intake.celery_queue import QueueReader
from worker.intake.poison import Deliveries
from worker.intake.redis_stream import EntryReader, StreamReader
from worker.ledger import Ledger, Letters, scripts
from worker.operations.waiting import unrecorded
from worker.redis_client.connect import connect
from worker.vault.vault import Vault


@pytest.fixture
def redis_server(tcp_server: EmbeddedRedis) -> EmbeddedRedis:
    return tcp_server


@pytest.fixture
def replica(
    tmp_path: Path, orphan_guard: OrphanGuard, redis_server: EmbeddedRedis, redis_client: Redis
) -> Iterator[Redis]:
    del redis_client  # which empties the primary
    replica = EmbeddedRedis(tmp_path, name="replica", guard=orphan_guard, takes_config=True)
    with replica, Redis.from_url(replica.url) as client:
        client.config_set("masterauth", redis_server.password)
        client.replicaof("127.0.0.1", redis_server.port)
        eventually(lambda: client.info("replication")["master_link_status"] == "up", seconds=20, describe="the link")
        yield client
        client.replicaof("no", "one")


@pytest.fixture
def intake(redis_client: Redis, vault: Vault, monkeypatch: pytest.MonkeyPatch) -> Intake:
    monkeypatch.setattr(scripts, "REPLICAS_WITHIN_MS", 100)
    parts = Ledger(redis_client), Letters(redis_client), vault
    requirements = Requirements(max_ahead_seconds=3600, instances=frozenset({"toolbox"}))
    return Intake(*parts, requirements=requirements, default_instance="toolbox", replicas=1)


@pytest.fixture
def broker(tmp_path: Path, orphan_guard: OrphanGuard) -> Iterator[EmbeddedRedis]:
    """A broker on another server than the ledger; it keeps its data."""
    with EmbeddedRedis(tmp_path, name="broker", guard=orphan_guard) as server:
        yield server


def cut_off(replica: Redis) -> None:
    """Simulate a slow link: the replica keeps its data and receives nothing more."""
    replica.replicaof("no", "one")


def recorded(client: Redis) -> int:
    return int(client.hget("nightly:tally:toolbox", "recorded") or 0)


def takes_nothing_off(reader: EntryReader) -> bool:
    with pytest.raises(NotReplicated):
        eventually(reader.step, describe="what was sent")
    return True


def test_a_celery_message_stays_in_its_broker_until_a_replica_of_the_ledger_has_the_event(
    broker: EmbeddedRedis, replica: Redis, redis_client: Redis, intake: Intake, vault: Vault
) -> None:
    client = connect(broker.url)
    deliveries = Deliveries(redis_client, vault)
    reader = QueueReader(client, intake, deliveries, name="one", on_recorded=lambda: None)
    reader.join()
    with Celery(broker=kombu_address(broker.url)[0], set_as_current=False) as producer:
        send(producer, "login-1")
        eventually(reader.step, describe="the first event")
        assert (unrecorded(client), recorded(replica)) == (0, 1)
        cut_off(replica)
        send(producer, "login-2")
        assert takes_nothing_off(reader)
        assert unrecorded(client) == 1, "the only copy that outlives the ledger's primary"


@pytest.mark.parametrize("body", [json.dumps(event(1)), "no event"])
def test_a_stream_entry_stays_until_a_replica_has_the_recorded_event(
    replica: Redis, redis_client: Redis, intake: Intake, vault: Vault, body: str
) -> None:
    cut_off(replica)
    reader = StreamReader(redis_client, intake, Deliveries(redis_client, vault), name="one", on_recorded=lambda: None)
    reader.join()
    redis_client.xadd(STREAM, {"event": body})
    assert takes_nothing_off(reader)
    assert redis_client.xlen(STREAM) == 1
