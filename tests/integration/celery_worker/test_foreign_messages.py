"""Any bytes on any of our queues: the worker continues and keeps them for review instead of dropping them."""

import base64
import json
import uuid
from typing import Any

import pytest

from tests.integration.celery_worker.conftest import Nightly, cloud_event, new_logins
from tests.ledger_calls import list_letters
from tests.waiting import eventually
from worker.ledger.audit import Actor
from worker.operations.letter_actions import LetterActions

QUEUES = ("account-events", "refresh", "backfill")
EVENT = {"login_id": "", "occurred_at": "2026-11-22T10:00:00Z"}


def envelope(body: Any, *, queue: str = "account-events", **changes: Any) -> dict[str, Any]:
    """Return a message as kombu writes it; `changes` replace parts of it, and None removes one."""
    text = body if isinstance(body, str) else base64.b64encode(json.dumps(body).encode()).decode()
    parts: dict[str, Any] = {
        "body": text,
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"lang": "py", "task": "account.linked", "id": str(uuid.uuid4())},
        "properties": {
            "delivery_tag": str(uuid.uuid4()),
            "body_encoding": "base64",
            "delivery_info": {"exchange": queue, "routing_key": queue},
        },
    } | changes
    return {name: value for name, value in parts.items() if value is not None}


TASK = [[], EVENT, {}]
HEADERS = {"task": "account.linked", "id": "id-1"}
DEEP = "[" * 100_000 + "]" * 100_000
FOREIGN: dict[str, bytes | dict[str, Any]] = {
    "text": b"not json",
    "no bytes at all": b"",
    "invalid UTF-8": b"\xff\xfe\x00",
    "a JSON number": b"17",
    "a JSON array": b'["properties"]',
    "a CloudEvent pushed by hand": json.dumps(cloud_event("canary-login", on=True, minute=0)).encode(),
    "a value that kombu's decoder trips over": b'{"__type__": "datetime", "__value__": "canary-login"}',
    "JSON nested too deeply": DEEP.encode(),
    "ten megabytes": b"[" + b" " * 10_000_000 + b"canary-login",
    "no properties": envelope(TASK, properties=None),
    "properties without a delivery tag": envelope(TASK, properties={"delivery_info": {}}),
    "a delivery tag that is no text": envelope(TASK, properties={"delivery_tag": {}, "delivery_info": {}}),
    "headers that are a list": envelope(TASK, headers=["task"]),
    "no headers": envelope(TASK, headers=None),
    "headers without a task": envelope(TASK, headers={"id": "canary-login"}),
    "a task without an id": envelope(TASK, headers={"task": "account.linked"}),
    "a task name that is a list": envelope(TASK, headers=HEADERS | {"task": []}),
    "an id that is an object": envelope(TASK, headers=HEADERS | {"id": {}}),
    "a task we do not have": envelope(TASK, headers=HEADERS | {"task": "canary-login"}),
    "a bad base64 body": envelope("canary-login"),
    "a body that is no JSON": envelope(base64.b64encode(b"canary-login").decode()),
    "a body nested too deeply": envelope(base64.b64encode(DEEP.encode()).decode()),
    "a body that is a number": envelope(17),
    "a body of one part": envelope([TASK]),
    "arguments that are no list": envelope([5, EVENT, {}]),
    "keywords that are a list": envelope([[], [], {}]),
    "options that are a text": envelope([[], EVENT, "canary-login"]),
    "a refused content type": envelope(TASK, **{"content-type": "application/x-python-serialize"}),
    "a content type nobody knows": envelope(TASK, **{"content-type": "canary/login"}),
    "a compression nobody knows": envelope(TASK, headers=HEADERS | {"compression": "canary-login"}),
}


@pytest.fixture
def settings_for_workers() -> dict[str, str]:
    return {"LOG_LEVEL": "DEBUG"}


def test_a_foreign_message_is_kept_for_review_and_the_worker_continues(nightly: Nightly) -> None:
    worker = nightly.stack.start_worker()
    for queue in QUEUES:
        for item in FOREIGN.values():
            nightly.redis.lpush(queue, item if isinstance(item, bytes) else json.dumps(item))
    sent = len(QUEUES) * len(FOREIGN)

    def seen() -> int:
        return sum(letter.seen for letter in list_letters(nightly.services.letters))

    eventually(lambda: seen() >= sent or not worker.is_running, seconds=60, describe=f"{sent} letters, not {seen()}")
    assert worker.is_running, worker.tail()
    assert seen() == sent
    assert {code for code, _ in nightly.letters()} == {"invalid_event"}
    assert all(letter.reason for letter in list_letters(nightly.services.letters))
    assert "canary" not in repr(nightly.letters())
    assert "canary" not in worker.log_path.read_text()
    assert (nightly.redis.hlen("unacked"), nightly.redis.zcard("unacked_index")) == (0, 0)
    _still_works(nightly)


def test_a_cloud_event_pushed_onto_a_queue_can_be_replayed(nightly: Nightly) -> None:
    (login,) = new_logins(1)
    worker = nightly.stack.start_worker()
    nightly.redis.lpush("account-events", json.dumps(cloud_event(login, on=True, minute=0)))
    (letter,) = eventually(lambda: list_letters(nightly.services.letters), describe="the letter")
    services = nightly.services
    actions = LetterActions(services.redis, vault=services.vault, intake=services.intake)
    assert actions.replay(letter.id, by=Actor("ann", "operator", "cli")).outcome == "replayed"
    eventually(lambda: nightly.flags() == {login: True}, describe="the call")
    assert worker.is_running


def _still_works(nightly: Nightly) -> None:
    (login,) = new_logins(1)
    nightly.redis.lpush("backfill", json.dumps(envelope([[], EVENT | {"login_id": login}, {}], queue="backfill")))
    eventually(lambda: nightly.flags() == {login: True}, describe="the call after all that")
    nightly.comes_to_rest()
