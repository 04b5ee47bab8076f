"""Hostile or invalid messages on any of our queues cost a worker no memory, no slot and no event."""

import base64
import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery

from sandbox.stack import ManagedProcess
from tests.bombs import PEAK_MIB, bombs, peak_mib
from tests.integration.celery_worker.conftest import Nightly, new_logins
from tests.integration.celery_worker.test_foreign_messages import EVENT, QUEUES, envelope
from tests.integration.celery_worker.test_remote_control import ask
from tests.ledger_calls import list_letters
from tests.waiting import eventually
from worker.broker.celery_config import kombu_address

THEIRS = {"task": "theirs.next", "args": [], "kwargs": {}, "options": {"queue": "theirs"}, "immutable": True}
FOLLOWERS = {"callbacks": [THEIRS], "errbacks": [THEIRS], "chain": [THEIRS], "chord": THEIRS}
IN_A_YEAR = "2099-01-01T00:00:00Z"


def nested(depth: int) -> Any:
    """Return nested lists, which JSON decoders accept and later copies may not."""
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


WISHES: dict[str, dict[str, Any]] = {
    "later": {"eta": IN_A_YEAR},
    "too late": {"expires": "2020-01-01T00:00:00Z"},
    "within no time": {"timelimit": [0.001, 0.001]},
    "limits that are none": {"timelimit": "canary", "eta": "canary", "expires": {}, "retries": "canary"},
    "part of a group": {
        "group": "g",
        "group_index": 10**9,
        "root_id": [],
        "parent_id": {},
        "replaced_task_nesting": 1e9,
    },
    "another name": {"shadow": "canary", "origin": "x" * 100_000, "argsrepr": [], "ignore_result": False},
    "stamps": {"stamped_headers": ["a"] * 1000, "stamps": {"a": nested(100)}},
    "Celery's own fields": {"called_directly": True, "is_eager": True, "_protected": 1, "hostname": [], "args": 5},
    "headers of a megabyte": {"x": "x" * 1_000_000},
    "headers nested deeply": {"x": nested(400)},
    "followers in the headers": FOLLOWERS,
}
BUILT_IN = ("map", "starmap", "chunks", "chord_unlock", "chain", "group", "chord", "accumulate", "backend_cleanup")


@pytest.fixture
def worker(nightly: Nightly) -> ManagedProcess:
    return nightly.stack.start_worker()


@pytest.fixture
def producer(nightly: Nightly) -> Iterator[Celery]:
    with Celery(broker=kombu_address(nightly.stack.environment["REDIS_URL"])[0], set_as_current=False) as app:
        yield app


def put(nightly: Nightly, queue: str, task: str, body: Any, headers: dict[str, Any], **properties: Any) -> None:
    item = envelope(body, queue=queue, headers={"task": task, "id": str(uuid.uuid4())} | headers)
    item["properties"] |= properties
    nightly.redis.lpush(queue, json.dumps(item))


def seen(nightly: Nightly) -> int:
    return sum(letter.seen for letter in list_letters(nightly.services.letters))


def comes_through(nightly: Nightly, worker: ManagedProcess, logins: list[str], letters: int) -> None:
    """All these logins are called, `count` messages are set aside, and no message is left unacknowledged."""

    def is_over() -> bool:
        return not worker.is_running or (nightly.flags() == dict.fromkeys(logins, True) and seen(nightly) >= letters)

    eventually(is_over, seconds=60, describe=f"{len(logins)} calls and {letters} letters")
    assert worker.is_running, worker.tail()
    eventually(lambda: not nightly.redis.exists("unacked"), describe="nothing in hand")
    assert seen(nightly) == letters, nightly.letters()
    assert "canary" not in worker.log_path.read_text()
    assert peak_mib(worker) < PEAK_MIB
    nightly.comes_to_rest()


def test_decompression_is_bounded_and_an_oversized_message_is_set_aside_whole(
    nightly: Nightly, worker: ManagedProcess
) -> None:
    (login,) = new_logins(1)
    for queue in QUEUES:
        for body, marks in bombs().values():
            item = envelope(base64.b64encode(body).decode(), queue=queue)
            if "compression" in marks:
                item["headers"] |= marks
            else:
                item |= marks | {"headers": {}}
            nightly.redis.lpush(queue, json.dumps(item))
    put(nightly, "backfill", "account.linked", [[], EVENT | {"login_id": login}, {}], {})
    comes_through(nightly, worker, [login], len(QUEUES) * len(bombs()))
    reasons = {letter.reason for letter in list_letters(nightly.services.letters)}
    assert "message: is larger than 1048576 bytes when decompressed" in reasons
    assert "message: is compressed, and not with gzip or bzip2" in reasons


def test_options_of_a_message_beside_its_task_are_ignored(
    nightly: Nightly, worker: ManagedProcess, producer: Celery
) -> None:
    logins = []
    for queue in QUEUES:
        for headers in WISHES.values():
            (login,) = new_logins(1)
            logins.append(login)
            event = [[], EVENT | {"login_id": login}, FOLLOWERS]
            put(nightly, queue, "account.linked", event, headers, reply_to="theirs", correlation_id=nested(50))
            for task in ("refresh.reconcile", "backfill.feed") if queue != "account-events" else ():
                put(nightly, queue, task, [[], {}, FOLLOWERS], headers, priority=nested(50))
    comes_through(nightly, worker, logins, 0)
    assert not nightly.redis.exists("theirs", "celery")
    assert ask(producer, "scheduled") == []
    assert len(worker.children()) == 2


def test_built_in_celery_tasks_are_set_aside(nightly: Nightly, worker: ManagedProcess, producer: Celery) -> None:
    (login,) = new_logins(1)
    for queue in QUEUES:
        for name in BUILT_IN:
            put(nightly, queue, f"celery.{name}", [[THEIRS, [[1]]], {}, {}], {"eta": IN_A_YEAR})
    put(nightly, "refresh", "account.linked", [[], EVENT | {"login_id": login}, {}], {})
    comes_through(nightly, worker, [login], len(QUEUES) * len(BUILT_IN))
    assert {reason for _, reason in nightly.letters()} == {
        "message: its task is not an event",
        "message: names a task that this worker does not have",
    }
    registered = ask(producer, "registered", {"builtins": True})
    assert registered == ["account.inactive", "account.linked", "backfill.feed", "refresh.reconcile"]
