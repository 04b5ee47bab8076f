"""In every mode, an event in a request is the same document as on the stream."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.http_events import binary_headers, event
from worker.errors import InvalidEvent
from worker.events.contract import LifecycleEvent
from worker.web.webhook.cloudevents import (
    MAX_EVENTS,
    Mode,
    TooManyEvents,
    attributes_of,
    decode_value,
    documents_in,
    mode_of,
    signed_content,
)

DATA = json.dumps(event()["data"]).encode()
ATTRIBUTES = attributes_of([*binary_headers(event()).items()])


def reason(mode: Mode, body: bytes, attributes: Any = ()) -> str:
    with pytest.raises(InvalidEvent) as caught:
        documents_in(mode, attributes, body)
    return caught.value.reason


@pytest.mark.parametrize(
    ("content_type", "mode"),
    [
        ("application/cloudevents+json", Mode.STRUCTURED),
        ("Application/CloudEvents+JSON; charset=UTF-8", Mode.STRUCTURED),
        ('application/cloudevents-batch+json;charset="utf-8"', Mode.BATCH),
        ("application/json", Mode.BINARY),
        ("application/cloudevents+json; charset=utf-16", None),
        ("application/cloudevents+xml", None),
        ("text/plain", None),
        ("", None),
    ],
)
def test_the_media_type_says_how_a_request_holds_events(content_type: str, mode: Mode | None) -> None:
    assert mode_of(content_type, "") is mode
    assert mode_of(content_type, "gzip") is None


def test_the_same_event_in_each_mode_is_the_same_event() -> None:
    (structured,) = documents_in(Mode.STRUCTURED, [], json.dumps(event()).encode())
    (of_batch,) = documents_in(Mode.BATCH, [], json.dumps([event()]).encode())
    (binary,) = documents_in(Mode.BINARY, ATTRIBUTES, DATA)
    events = [LifecycleEvent.from_cloudevent(each, "toolbox") for each in (structured, of_batch, binary)]
    assert events[0] == events[1] == events[2]


@pytest.mark.parametrize(
    ("mode", "body", "expected"),
    [
        (Mode.STRUCTURED, b"{", "body: is not JSON"),
        (Mode.BATCH, b"{}", "body: must be an array of events"),
        (Mode.BATCH, b"[]", "body: is an empty array"),
        (Mode.BATCH, b"\xff", "body: is not JSON"),
        (Mode.BINARY, b"", "body: is not JSON"),
    ],
)
def test_a_body_with_indistinguishable_events_is_refused(mode: Mode, body: bytes, expected: str) -> None:
    assert reason(mode, body, ATTRIBUTES) == expected


def test_a_structured_array_is_not_a_batch() -> None:
    (document,) = documents_in(Mode.STRUCTURED, [], json.dumps([event()]).encode())
    with pytest.raises(InvalidEvent, match="event: must be an object"):
        LifecycleEvent.from_cloudevent(document, "toolbox")


def test_a_batch_of_the_maximum_size_is_accepted_and_one_more_is_refused() -> None:
    assert len(documents_in(Mode.BATCH, [], json.dumps([1] * MAX_EVENTS).encode())) == MAX_EVENTS
    with pytest.raises(TooManyEvents):
        documents_in(Mode.BATCH, [], json.dumps([1] * (MAX_EVENTS + 1)).encode())


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
        ("plain", "plain"),
        ("%2525", "%25"),
        ("100%", "100%"),
        ("%zz", "%zz"),
        ('"quoted \\" text"', 'quoted " text'),
        ("%e2%82%ac", "€"),
        ("", ""),
    ],
)
def test_a_header_is_decoded_once_as_the_specification_says(written: str, read: str) -> None:
    assert decode_value(written) == read


@given(st.text(max_size=40))
def test_a_header_value_is_decoded_as_it_was_encoded(text: str) -> None:
    document = {"subject": text.encode("utf-8", "replace").decode()}
    ((_, value),) = binary_headers(document).items()
    assert value.isascii()
    assert decode_value(value) == document["subject"]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([("ce-id", "a"), ("ce-id", "b")], "ce-id: appears twice"),
        ([("ce-id", "%FF")], "ce-id: must be printable ASCII; other characters are percent-encoded as UTF-8"),
        ([("ce-id", "é")], "ce-id: must be printable ASCII; other characters are percent-encoded as UTF-8"),
        ([("ce-data", "{}")], "ce-data: is not a header; the body is the data"),
        ([("ce-datacontenttype", "x")], "ce-datacontenttype: is not a header; the body is the data"),
        (
            [("ce-canary", "%FF")],
            "ce-(another attribute): must be printable ASCII; other characters are percent-encoded as UTF-8",
        ),
    ],
)
def test_a_header_that_cannot_be_read_is_named(headers: list[tuple[str, str]], expected: str) -> None:
    assert reason(Mode.BINARY, DATA, attributes_of(headers)) == expected


def test_in_binary_mode_the_signature_covers_every_attribute() -> None:
    signed = signed_content(Mode.BINARY, ATTRIBUTES, DATA)
    assert signed.endswith(b"\n\n" + DATA)
    for name, value in ATTRIBUTES:
        assert f"{name}:{value}\n".encode() in signed
    assert signed_content(Mode.STRUCTURED, ATTRIBUTES, DATA) == DATA


_NAMES = st.sampled_from(["ce-id", "ce-type", "ce-x", "content-type"])
_HEADERS = st.lists(st.tuples(_NAMES, st.text("ce-id:x", max_size=6)), max_size=4)
_BODIES = st.text("\nce-id:x{", max_size=12).map(str.encode)


@given(_HEADERS, _BODIES, _HEADERS, _BODIES)
def test_two_requests_that_differ_are_never_signed_alike(one: Any, body: bytes, two: Any, other: bytes) -> None:
    first, second = attributes_of(one), attributes_of(two)
    is_same = (first, body) == (second, other)
    assert (signed_content(Mode.BINARY, first, body) == signed_content(Mode.BINARY, second, other)) is is_same
