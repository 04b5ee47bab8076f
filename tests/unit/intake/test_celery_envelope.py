import json
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.intake.celery_envelope import REASON, UNREADABLE, envelope_for_kombu, fault_of, original

GOOD: dict[str, Any] = {
    "body": "W10=",
    "content-type": "application/json",
    "headers": {"task": "account.linked"},
    "properties": {
        "body_encoding": "base64",
        "delivery_tag": "tag-1",
        "delivery_info": {"exchange": "", "routing_key": "account-events"},
    },
}


def read(item: bytes, queue: str = "account-events") -> dict[str, Any]:
    return dict(json.loads(envelope_for_kombu(item, queue)))


def test_a_message_that_kombu_can_open_is_unchanged() -> None:
    item = json.dumps(GOOD).encode()
    assert envelope_for_kombu(item, "account-events") is item


def test_a_message_of_another_exchange_is_returned_to_its_queue() -> None:
    """kombu restores the messages of a lost worker by exchange and routing key, and drops those without them."""
    properties = GOOD["properties"] | {"delivery_info": {"exchange": "theirs", "routing_key": "events", "x": 1}}
    found = read(json.dumps(GOOD | {"properties": properties}).encode())
    assert found["properties"]["delivery_info"] == {
        "exchange": "account-events",
        "routing_key": "account-events",
        "x": 1,
    }
    assert found["body"] == GOOD["body"]


@pytest.mark.parametrize("priority", [{"__type__": "decimal", "__value__": "1e999999999"}, [], "9", 1.5, None, True])
def test_a_priority_that_is_not_an_integer_is_dropped(priority: object) -> None:
    """For 1e999999999 that would take forever; with other values the message would be lost when it is restored."""
    found = read(json.dumps(GOOD | {"properties": GOOD["properties"] | {"priority": priority}}).encode())
    assert found == GOOD | {"properties": {**GOOD["properties"], "delivery_info": found["properties"]["delivery_info"]}}


def test_null_headers_become_an_object_that_kombu_can_write_to() -> None:
    assert read(json.dumps(GOOD | {"headers": None}).encode())["headers"] == {}


def test_a_body_that_was_not_decompressed_keeps_its_compression_header() -> None:
    parts = {"content_type": "a/b", "content_encoding": None, "headers": {"compression": "xz"}, "body": b"x"}
    for errors, kept in (([], {}), ([ValueError()], {"compression": "xz"})):
        assert json.loads(original(SimpleNamespace(**parts, errors=errors))[0])["headers"] == kept


@pytest.mark.parametrize("encoding", [[], {}, 5, "rot13"])
def test_a_message_with_an_unknown_body_encoding_is_wrapped(encoding: object) -> None:
    item = json.dumps(GOOD | {"properties": GOOD["properties"] | {"body_encoding": encoding}}).encode()
    assert read(item)["headers"] == {REASON: "message: its body cannot be decoded"}


@pytest.mark.parametrize("item", [b"{", b"\xff", b"17", b"", b"[" * 100_000, b'{"properties": {}}'])
def test_an_unreadable_message_is_wrapped_and_unwrapped_unchanged(item: bytes) -> None:
    found = read(item, "refresh")
    assert not fault_of(found)
    assert found["content-type"] == UNREADABLE
    assert found["properties"]["delivery_info"] == {"exchange": "refresh", "routing_key": "refresh"}
    message = SimpleNamespace(content_type=UNREADABLE, headers=found["headers"], body=item)
    assert original(message) == (item, found["headers"][REASON])


@given(st.binary(max_size=40))
def test_kombu_gets_a_readable_envelope_for_any_bytes(item: bytes) -> None:
    assert not fault_of(read(item))


def test_a_readable_message_is_kept_with_its_whole_body_and_headers() -> None:
    message = SimpleNamespace(
        content_type="a/b", content_encoding=None, headers={"task": "é"}, body=b"\xffx", errors=[]
    )
    kept, reason = original(message)
    assert json.loads(kept) == {
        "content_type": "a/b",
        "content_encoding": None,
        "headers": {"task": "é"},
        "body_encoding": "base64",
        "body": "/3g=",
    }
    assert reason == ""
