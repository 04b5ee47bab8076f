"""What an item of the queue is: an event in any form of Celery's protocol 2, or a foreign message with a reason."""

import base64
import bz2
import json
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kombu.transport.virtual import Message

from worker.intake.celery_envelope import original
from worker.intake.celery_message import Foreign, _Channel, _decoded_by_kombu, _decoded_fast, kept_message, read_item
from worker.intake.messages import CeleryMessage

QUEUE = "account-events"
KWARGS = {"login_id": "login-1", "occurred_at": "2026-11-22T10:00:00Z"}
OPTIONS = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
PROTOCOL_1 = {"task": "account.linked", "id": "one", "args": [], "kwargs": KWARGS}
NO_TASK = "message: its headers name no task, as Celery's message protocol 2 requires"
NOT_THREE_PARTS = "message: its body is not [args, kwargs, embed]"
HEADERS: dict[str, Any] = {"lang": "py", "task": "account.linked", "id": "task-1", "eta": None, "expires": None}


def packed(body: object) -> str:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return base64.b64encode(text).decode()


def envelope(content: object = ([], KWARGS, OPTIONS), /, **changes: Any) -> dict[str, Any]:
    parts: dict[str, Any] = {
        "body": packed(content),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": HEADERS,
        "properties": {
            "correlation_id": "task-1",
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": QUEUE},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": "tag-1",
        },
    } | changes
    return {name: value for name, value in parts.items() if value is not ...}


def judged(item: object) -> CeleryMessage | Foreign:
    return read_item(item if isinstance(item, bytes) else json.dumps(item).encode(), QUEUE)


def reason(item: object) -> str:
    found = judged(item)
    assert isinstance(found, Foreign)
    return found.reason


def test_an_event_has_the_name_the_arguments_and_the_id_of_its_task() -> None:
    item = json.dumps(envelope()).encode()
    assert _decoded_fast(item) == read_item(item, QUEUE) == CeleryMessage("account.linked", [], KWARGS, "task-1")


@pytest.mark.parametrize(
    ("changes", "task_id"),
    [
        ({"headers": HEADERS | {"expires": "2020-01-01T00:00:00Z", "eta": "tomorrow", "timelimit": [1, 1]}}, "task-1"),
        ({"headers": HEADERS | {"id": 7}}, "7"),
        ({"content-encoding": ...}, "task-1"),
        ({"content-encoding": "UTF-8"}, "task-1"),
        ({"properties": {"delivery_tag": "tag-1", "delivery_info": {}}, "body": "[[], {}, {}]"}, "task-1"),
        ({"headers": HEADERS | {"compression": "gzip"}, "body": packed(zlib.compress(b"[[], {}, {}]"))}, "task-1"),
        (
            {"headers": HEADERS | {"compression": "application/x-bz2"}, "body": packed(bz2.compress(b"[[], {}, {}]"))},
            "task-1",
        ),
    ],
)
def test_every_form_of_protocol_2_is_an_event(changes: dict[str, Any], task_id: str) -> None:
    found = judged(envelope(**changes))
    assert isinstance(found, CeleryMessage)
    assert (found.type, found.task_id) == ("account.linked", task_id)


def test_a_value_that_kombu_serialises_is_decoded_in_every_spelling() -> None:
    for key in ("__type__", "\\u005f_type__"):
        text = '[[], {"login_id": {"KEY": "bytes", "__value__": "x"}}, {}]'.replace("KEY", key)
        found = judged(envelope(text.encode()))
        assert isinstance(found, CeleryMessage)
        assert found.kwargs == {"login_id": b"x"}


@pytest.mark.parametrize("task", ["refresh.reconcile", "backfill.feed", "celery.map"])
def test_another_task_on_this_queue_is_foreign(task: str) -> None:
    found = judged(envelope(headers=HEADERS | {"task": task}))
    assert isinstance(found, Foreign)
    assert found.reason == "message: its task is not an event"


@pytest.mark.parametrize(
    "embed",
    [
        OPTIONS | {"callbacks": [{"task": "theirs"}], "errbacks": [{"task": "theirs"}]},
        {"chain": [{"task": "theirs"}], "chord": {"task": "theirs"}},
        {"callbacks": "x" * 100, "anything": 1},
    ],
)
@pytest.mark.parametrize("changes", [{}, {"content-encoding": "UTF-8"}])
def test_linked_tasks_do_not_change_an_event(embed: dict[str, Any], changes: dict[str, Any]) -> None:
    assert judged(envelope(([], KWARGS, embed), **changes)) == CeleryMessage("account.linked", [], KWARGS, "task-1")


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (b"\xff", "message: is not UTF-8"),
        (b"{", "message: is not JSON"),
        (b"17", "message: is not a Celery message"),
        (envelope(headers={"id": "x"}), NO_TASK),
        (envelope(17, headers={}), NO_TASK),
        (envelope(b"{", headers={}), NO_TASK),
        (envelope(headers=HEADERS | {"task": "theirs"}), "message: its task is not an event"),
        (envelope(headers=HEADERS | {"task": []}), "message: could not be handled (TypeError)"),
        (envelope(headers={"task": "account.linked"}), "message: could not be handled (KeyError)"),
        (envelope(headers=HEADERS | {"id": {}}), "message: could not be handled (TypeError)"),
        (envelope(PROTOCOL_1, headers={}), NO_TASK),
        (envelope(PROTOCOL_1, headers=None), NO_TASK),
        (envelope(PROTOCOL_1), NOT_THREE_PARTS),
        (envelope(17), NOT_THREE_PARTS),
        (envelope([[]]), NOT_THREE_PARTS),
        (envelope([5, KWARGS, {}]), NOT_THREE_PARTS),
        (envelope([[], [], {}]), NOT_THREE_PARTS),
        (envelope(["args", [], {}]), NOT_THREE_PARTS),
        (envelope([[], {}, "x"]), NOT_THREE_PARTS),
        (envelope(b"{"), "message: cannot be decoded (DecodeError)"),
        (envelope(**{"content-type": "application/x-python-serialize"}),
         "message: its content type is not application/json"),
        (envelope(headers=HEADERS | {"compression": "theirs"}), "message: is compressed, and not with gzip or bzip2"),
        (envelope(headers=HEADERS | {"compression": "gzip"}), "message: its compressed body is damaged"),
        (envelope(**{"content-type": "application/data", "content-encoding": "bz2"}, headers={}),
         "message: its content type is not application/json"),
    ],
)  # fmt: skip
def test_any_other_message_is_foreign_with_a_reason_that_quotes_nothing_of_it(item: object, expected: str) -> None:
    assert reason(item) == expected


def test_foreign_bytes_are_kept_whole_and_foreign_messages_with_their_content() -> None:
    assert judged(b"\xff") == Foreign(b"\xff", "message: is not UTF-8")
    found = judged(envelope(headers={"task": "theirs"}))
    assert isinstance(found, Foreign)
    assert json.loads(found.body) == {
        "content_type": "application/json",
        "content_encoding": "utf-8",
        "headers": {"task": "theirs"},
        "body_encoding": "base64",
        "body": packed([[], KWARGS, OPTIONS]),
    }


@pytest.mark.parametrize("changes", [{}, {"headers": HEADERS | {"compression": "gzip"}, "body": "gzip"}])
def test_an_event_that_was_set_aside_is_read_again_unchanged(changes: dict[str, Any]) -> None:
    if changes:
        changes = changes | {"body": packed(zlib.compress(json.dumps([[], KWARGS, OPTIONS]).encode()))}
    event = CeleryMessage("account.linked", [], KWARGS, "task-1")
    item = json.dumps(envelope(**changes)).encode()
    assert kept_message(item) == event
    message = Message(json.loads(item), channel=_Channel(), accept={"application/json"})
    kept, _ = original(message)
    assert kept_message(kept) == event


@pytest.mark.parametrize(
    "body", [b"\xff", b"17", b'{"specversion": "1.0"}', b'[{"specversion": "1.0"}]', b'{"body_encoding": "base64"}']
)
def test_a_foreign_message_that_was_set_aside_is_read_again_as_cloud_events(body: bytes) -> None:
    assert kept_message(body) == body


def test_the_body_of_an_unencoded_message_that_was_set_aside_is_read_again() -> None:
    body = b'[{"specversion": "1.0"}]'
    plain = {"content-type": "application/cloudevents+json", "headers": {}, "body": packed(body)}
    kept, _ = original(Message(envelope(**plain), channel=_Channel(), accept={"application/json"}))
    assert kept_message(kept) == body


_ODD = st.sampled_from(
    [None, 0, 5, True, "", "x", "\ud800", [], {}, [[]], {"args": []}, {"id": "x"}, float("nan"), ...]
)
_BODIES = st.one_of(
    st.binary(max_size=8).map(packed),
    st.tuples(_ODD, _ODD, _ODD).map(lambda parts: packed([None if part is ... else part for part in parts])),
    st.sampled_from([packed([[], KWARGS, {}]), packed([[1], KWARGS, OPTIONS]), "[[], {}, {}]", "*", None, 5]),
)


@given(
    _BODIES,
    st.dictionaries(st.sampled_from(["task", "id", "compression", "x"]), _ODD),
    st.dictionaries(st.sampled_from(["delivery_tag", "delivery_info", "body_encoding"]), _ODD),
    st.dictionaries(st.sampled_from(["headers", "properties", "content-type", "content-encoding", "body"]), _ODD),
)
def test_the_fast_reader_and_kombu_s_decoders_agree(
    body: object, headers: dict[str, Any], properties: dict[str, Any], changes: dict[str, Any]
) -> None:
    parts = envelope()
    parts |= {"body": body, "headers": HEADERS | headers, "properties": parts["properties"] | properties} | changes
    for name in ("headers", "properties"):
        if isinstance(parts[name], dict):
            parts[name] = {key: value for key, value in parts[name].items() if value is not ...}
    item = json.dumps({name: value for name, value in parts.items() if value is not ...}).encode()
    found = read_item(item, QUEUE)
    expected = _decoded_by_kombu(item, QUEUE)
    assert repr(found) == repr(expected)
