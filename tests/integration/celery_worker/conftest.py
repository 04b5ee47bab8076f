"""A whole Nightly for one test: Redis, the emulator, workers, and queries for tests."""

import json
import os
import random
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis import Redis

from sandbox.emulator.remote import EmulatorControl
from sandbox.stack import EmbeddedStack
from tests.ledger_calls import list_letters
from tests.waiting import eventually
from worker.operations.waiting import unrecorded
from worker.services import Services, build_services

long_form = pytest.mark.skipif("NIGHTLY_PROVE" not in os.environ, reason="a long form: set NIGHTLY_PROVE=1")
BEGIN = datetime(2026, 11, 22, 10, tzinfo=UTC)


def new_logins(count: int) -> list[str]:
    """Return new loginIds, GUIDs as in Flinks."""
    return [str(uuid.uuid4()) for _ in range(count)]


def cloud_event(login_id: str, *, on: bool, minute: int, name: str = "") -> dict[str, Any]:
    """Return one CloudEvent; `minute` is its time, which decides the order."""
    return {
        "specversion": "1.0",
        "id": name or f"evt-{uuid.uuid4()}",
        "source": "tests",
        "type": "account.linked" if on else "account.inactive",
        "time": (BEGIN + timedelta(minutes=minute)).isoformat(),
        "data": {"loginId": login_id},
    }


def histories(logins: Iterable[str], chance: random.Random) -> tuple[list[dict[str, Any]], dict[str, bool]]:
    """Return two events or more for each login, shuffled and partly repeated, and the newest wish of each."""
    events, newest = [], {}
    for login in logins:
        wishes = [chance.random() < 0.5 for _ in range(chance.randint(1, 3))]
        events += [cloud_event(login, on=wish, minute=minute) for minute, wish in enumerate(wishes)]
        newest[login] = wishes[-1]
    events += chance.sample(events, len(events) // 5)
    chance.shuffle(events)
    return events, newest


@dataclass
class Nightly:
    """The system under test."""

    stack: EmbeddedStack
    emulator: EmulatorControl
    services: Services
    redis: Redis

    def send(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Add events to the stream, one entry each."""
        with self.redis.pipeline(transaction=False) as pipeline:
            for event in events:
                pipeline.xadd("account-events:stream", {"event": json.dumps(event)})
            pipeline.execute()

    def tally(self, instance: str = "toolbox") -> dict[str, int]:
        """Return the ledger's count of events by outcome."""
        state = self.services.views.status()["instances"].get(instance, {})
        return dict(state.get("tally", {}))

    def is_at_rest(self) -> bool:
        """Return whether nothing is due, waiting, in flight or unread."""
        unread = unrecorded(self.redis)
        status = self.services.views.status()
        open_work = [
            instance[name]
            for instance in status["instances"].values()
            for name in ("due_live", "due_backfill", "waiting", "in_flight")
        ]
        return not any(open_work) and unread == 0

    def comes_to_rest(self, *, seconds: float = 30) -> None:
        """Wait until every event has ended."""
        eventually(self.is_at_rest, seconds=seconds, describe=f"rest (tally {self.tally()})")

    def flags(self) -> dict[str, bool]:
        """Return the flags of the emulated Flinks, by loginId."""
        return {login: flag.is_activated for logins in self.emulator.state().values() for login, flag in logins.items()}

    def reference(self, login_id: str, instance: str = "toolbox") -> str:
        """Return the reference of the login."""
        return self.services.vault.reference(instance, login_id)

    def letters(self) -> list[tuple[str, str]]:
        """Return (code, reason or message) of every open dead letter."""
        return [(letter.code, letter.reason or letter.message) for letter in list_letters(self.services.letters)]


@pytest.fixture
def settings_for_workers() -> dict[str, str]:
    """Override in a test module to change the workers' settings."""
    return {}


@pytest.fixture
def nightly(stack: EmbeddedStack, emulator: EmulatorControl, settings_for_workers: dict[str, str]) -> Iterator[Nightly]:
    """Everything but a worker: call `nightly.stack.start_worker()`."""
    stack.environment |= {"FLINKS_CALLS_PER_SECOND": "1000"} | settings_for_workers
    services = build_services(stack.settings())
    yield Nightly(stack, emulator, services, services.redis)
    services.redis.close()
