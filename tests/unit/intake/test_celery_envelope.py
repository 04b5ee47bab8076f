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


def test_a_message_that_kombu_can_open_is_left_as_it_is() -> None:
    item = json.dumps(GOOD).encode()
    assert envelope_for_kombu(item, "account-events") is item


def test_a_message_of_another_exchange_would_come_back_to_the_queue_it_was_in() -> None:
    """kombu restores what a lost worker held by exchange and routing key, and drops it where it knows neither."""
    properties = GOOD["properties"] | {"delivery_info": {"exchange": "theirs", "routing_key": "events", "x": 1}}
    found = read(json.dumps(GOOD | {"properties": properties}).encode())
    assert found["properties"]["delivery_info"] == {
        "exchange": "account-events",
        "routing_key": "account-events",
        "x": 1,
    }
    assert found["body"] == GOOD["body"]


@pytest.mark.parametrize("priority", [{"__type__": "decimal", "__value__": "1e999999999"}, [], "9", 1.5, None, True])
def test_a_priority_that_is_no_integer_is_left_out_because_kombu_would_make_one_of_it(priority: object) -> None:
    """Of 1e999999999 that would take for ever; of others the message would be lost when it is restored."""
    found = read(json.dumps(GOOD | {"properties": GOOD["properties"] | {"priority": priority}}).encode())
    assert found == GOOD | {"properties": {**GOOD["properties"], "delivery_info": found["properties"]["delivery_info"]}}


def test_headers_that_are_null_become_an_object_because_kombu_writes_into_them_when_it_restores_a_message() -> None:
    assert read(json.dumps(GOOD | {"headers": None}).encode())["headers"] == {}


def test_of_a_body_that_was_not_decompressed_the_compression_is_kept_too() -> None:
    parts = {"content_type": "a/b", "content_encoding": None, "headers": {"compression": "xz"}, "body": b"x"}
    for errors, kept in (([], {}), ([ValueError()], {"compression": "xz"})):
        assert json.loads(original(SimpleNamespace(**parts, errors=errors))[0])["headers"] == kept


@pytest.mark.parametrize("encoding", [[], {}, 5, "rot13"])
def test_an_encoding_of_the_body_that_is_none_travels_in_a_wrapper_too(encoding: object) -> None:
    item = json.dumps(GOOD | {"properties": GOOD["properties"] | {"body_encoding": encoding}}).encode()
    assert read(item)["headers"] == {REASON: "message: its body cannot be decoded"}


@pytest.mark.parametrize("item", [b"{", b"\xff", b"17", b"", b"[" * 100_000, b'{"properties": {}}'])
def test_anything_else_travels_in_a_wrapper_and_comes_out_whole(item: bytes) -> None:
    found = read(item, "refresh")
    assert not fault_of(found)
    assert found["content-type"] == UNREADABLE
    assert found["properties"]["delivery_info"] == {"exchange": "refresh", "routing_key": "refresh"}
    message = SimpleNamespace(content_type=UNREADABLE, headers=found["headers"], body=item)
    assert original(message) == (item, found["headers"][REASON])


@given(st.binary(max_size=40))
def test_whatever_bytes_come_kombu_gets_an_envelope_it_can_open(item: bytes) -> None:
    assert not fault_of(read(item))


def test_of_a_message_that_was_read_its_body_is_kept_whole_with_all_that_names_it() -> None:
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
