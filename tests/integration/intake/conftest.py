"""A stream reader over a real ledger, ways to kill it, and a hostile producer."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from redis import Redis

from tests.chaos.minimal_acl import minimal_acl_parts
from tests.waiting import eventually
from worker.events.channels import STREAM
from worker.events.contract import Requirements
from worker.intake import redis_stream, stream_account
from worker.intake import stream_group as entry_group
from worker.intake.accept import Intake
from worker.intake.poison import Deliveries
from worker.intake.redis_stream import EntryReader, StreamReader
from worker.ledger import Ledger, Letters
from worker.ledger.stream_state import LARGEST_MS, stream_state
from worker.vault.vault import Vault

Reader = Callable[..., StreamReader]
LARGEST = f"{LARGEST_MS}-{LARGEST_MS}"
TIME = "2026-01-01T00:00:00Z"


def event(number: int, **changes: Any) -> dict[str, Any]:
    document = {"specversion": "1.0", "id": f"evt-{number}", "source": "crm", "type": "account.linked", "time": TIME}
    return document | {"data": {"loginId": f"login-number-{number}"}} | changes


def add(client: Redis, document: object, **fields: str) -> bytes:
    entry_id: bytes = client.xadd(STREAM, {"event": json.dumps(document), **fields})  # type: ignore[assignment, dict-item]
    return entry_id


@pytest.fixture(autouse=True)
def _take_over_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entry_group, "TAKE_OVER_AFTER_MS", 0)
    monkeypatch.setattr(entry_group, "LOOK_EVERY_SECONDS", 0.0)
    monkeypatch.setattr(stream_account, "LOOK_EVERY_SECONDS", 0.0)
    monkeypatch.setattr(redis_stream, "BLOCK_MS", 10)


@pytest.fixture
def intake(redis_client: Redis, vault: Vault) -> Intake:
    parts = Ledger(redis_client), Letters(redis_client), vault
    requirements = Requirements(max_ahead_seconds=3600, instances=frozenset({"toolbox"}))
    return Intake(*parts, requirements=requirements, default_instance="toolbox")


@pytest.fixture
def reader(redis_client: Redis, intake: Intake, vault: Vault) -> Reader:
    def reader(name: str) -> StreamReader:
        deliveries = Deliveries(redis_client, vault)
        made = StreamReader(redis_client, intake, deliveries, name=name, on_recorded=lambda: None)
        made.join()
        return made

    return reader


def recorded(client: Redis) -> int:
    return int(client.hget("nightly:tally:toolbox", "recorded") or 0)


def die(reader: EntryReader) -> None:
    """Delete its heartbeat, which expires some seconds after a SIGKILL."""
    group = reader._group
    reader._redis.delete(group._heartbeat(group._name))


def die_with_all_in_hand(reader: StreamReader) -> None:
    reader._at_most = 200
    assert reader._fresh()
    die(reader)


def die_with_a_suspect_in_hand(reader: StreamReader, source: str = "stream") -> None:
    """Count the entry as `step` does, then die."""
    suspect = reader._group.claim_next()
    assert suspect is not None
    reader._deliveries.take_in_hand(f"{source}:{suspect.id.decode()}")
    die(reader)


def empty(reader: StreamReader) -> None:
    for _ in range(10_000):
        if not reader.step():
            return


@pytest.fixture
def attacker(redis_client: Redis, redis_url: str) -> Iterator[Redis]:
    """A client with the rights of the producer in the guide."""
    rule = minimal_acl_parts("producer", has_selectors=counts(redis_client))
    redis_client.execute_command("ACL", "SETUSER", "producer", "on", ">word", *rule)
    with Redis.from_url(redis_url, single_connection_client=True) as client:
        client.execute_command("AUTH", "producer", "word")
        yield client
    redis_client.execute_command("ACL", "DELUSER", "producer")


def counts(client: Redis) -> bool:
    """Whether this server counts the entries added to a stream."""
    return int(client.info("server")["redis_version"].split(".")[0]) >= 7  # type: ignore[index, union-attr]


def state(client: Redis) -> dict[str, Any]:
    return stream_state(client, STREAM, round(time.time() * 1000))


def vanished(client: Redis) -> int:
    return int(state(client)["stream_vanished"])


def step_until_open(client: Redis, reader: StreamReader) -> None:
    eventually(lambda: reader.step() == 0 and state(client)["stream_ids_ahead_seconds"] == 0, describe="the repair")
