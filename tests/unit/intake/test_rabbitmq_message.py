"""The kinds of RabbitMQ messages, and how many are recorded together."""

import json
from struct import pack
from typing import Any

import amqp
import pytest
from kombu.transport.pyamqp import Message

from worker.celery_worker.patches.py_amqp import guard_amqp
from worker.errors import InvalidEvent
from worker.intake.celery_envelope import UNREADABLE
from worker.intake.celery_message import Foreign
from worker.intake.messages import CeleryMessage, read_body
from worker.intake.rabbitmq import _portion
from worker.intake.rabbitmq_message import PlainEvents, read_delivery
from worker.intake.redis_stream import TAKE_IN_BYTES

EVENT = {"login_id": "l", "occurred_at": "2026-11-22T10:00:00Z"}
TASK = [[], EVENT, {}]
CLOUD_EVENT = {"specversion": "1.0", "type": "account.linked", "task": "an extension"}
OF_CELERY = {"task": "account.linked", "id": "id-1"}


def message(body: object, content_type: str | None = "application/json", *, again: bool = False, **headers: Any) -> Any:
    raw = amqp.Message(body if isinstance(body, str) else json.dumps(body), application_headers=headers)
    if content_type is not None:
        raw.properties |= {"content_type": content_type, "content_encoding": "utf-8"}
    raw.delivery_info = {"delivery_tag": 1, "redelivered": again}
    return Message(raw)


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "application/json",
        "application/cloudevents+json",
        "application/cloudevents+json; charset=utf-8",
        "Application/CloudEvents-Batch+JSON",
    ],
)
@pytest.mark.parametrize("body", [CLOUD_EVENT, [CLOUD_EVENT], {}, 17, "no JSON"])
def test_a_message_without_a_task_name_is_read_as_cloud_events(content_type: str | None, body: object) -> None:
    assert isinstance(read_delivery(message(body, content_type)), PlainEvents)


def test_a_message_that_names_its_task_in_a_header_is_celery_s() -> None:
    assert read_delivery(message(TASK, **OF_CELERY)) == CeleryMessage("account.linked", [], EVENT, "id-1")


def test_a_message_of_protocol_1_is_read_as_a_cloud_event_and_so_rejected() -> None:
    found = read_delivery(message({"task": "account.linked", "id": "id-1", "args": [], "kwargs": EVENT}))
    assert isinstance(found, PlainEvents)
    with pytest.raises(InvalidEvent, match="specversion: is required"):
        read_body(found.body)[0].event("toolbox")


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (message(CLOUD_EVENT, "text/xml"), "its content type is not application/json"),
        (message(TASK, task="canary", id="1"), "its task is not an event"),
        (message(TASK, "application/x-python-serialize", **OF_CELERY), "its content type is not application/json"),
        (message(TASK, compression="canary", **OF_CELERY), "is compressed, and not with gzip or bzip2"),
        (message("[1]", **OF_CELERY), "its body is not [args, kwargs, embed]"),
    ],
)
def test_a_foreign_message_has_a_reason_without_its_content(given: Any, reason: str) -> None:
    found = read_delivery(given)
    assert isinstance(found, Foreign)
    assert found.reason == f"message: {reason}"


def test_linked_tasks_do_not_change_an_event() -> None:
    found = read_delivery(message([[], EVENT, {"callbacks": [{}], "chain": [{}]}], **OF_CELERY))
    assert found == CeleryMessage("account.linked", [], EVENT, "id-1")


def test_unreadable_properties_mark_their_message_as_foreign_and_raise_nothing() -> None:
    guard_amqp()
    in_milliseconds = b"\x01aT" + pack(">Q", 1_790_000_000_000)
    raw: Any = amqp.Message()
    raw.delivery_info = {"delivery_tag": 1}
    raw._load_properties(60, pack(">HI", 0x2000, len(in_milliseconds)) + in_milliseconds, 0)
    assert raw.properties["content_type"] == UNREADABLE
    found = read_delivery(Message(raw))
    assert isinstance(found, Foreign)
    assert found.reason == "message: its properties cannot be read"


def test_a_redelivered_message_is_recorded_alone_and_in_order() -> None:
    first, again, last = message(TASK), message(TASK, again=True), message(TASK)
    assert _portion([first, first, again, last]) == [first, first]
    assert _portion([again, again, last]) == [again]
    assert _portion([last]) == [last]


def test_a_portion_is_limited_in_bytes() -> None:
    large = message("x" * TAKE_IN_BYTES)
    assert _portion([large, large]) == [large]
