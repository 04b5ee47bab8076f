"""A reader of the stream over a real ledger, and ways to end one."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis

from tests.integration.readers import die
from worker import entry_group
from worker.deliveries import Deliveries
from worker.intake import Intake
from worker.ledger import Ledger, Letters
from worker.ledger.views import STREAM
from worker.seal import Vault
from worker.stream import StreamReader

Reader = Callable[..., StreamReader]
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


@pytest.fixture
def intake(redis_client: Redis, vault: Vault) -> Intake:
    parts = Ledger(redis_client), Letters(redis_client), vault
    options: dict[str, Any] = {"instances": frozenset({"toolbox"}), "default_instance": "toolbox"}
    return Intake(*parts, max_ahead_seconds=3600, **options)


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


def die_with_all_in_hand(reader: StreamReader) -> None:
    reader._at_most = 200
    assert reader._fresh()
    die(reader)


def die_with_a_suspect_in_hand(reader: StreamReader, source: str = "stream") -> None:
    """Count as `step` does, and get no further."""
    suspect = reader._group.claim_next()
    assert suspect is not None
    reader._deliveries.take_in_hand(f"{source}:{suspect.id.decode()}")
    die(reader)


def empty(reader: StreamReader) -> None:
    for _ in range(10_000):
        if not reader.step():
            return
