"""A body is one event or an array of events; everything else is refused."""

import json

import pytest

from tests.unit.events.reading import CANARY, cloudevent, refusal_of
from worker.errors import InvalidEvent
from worker.events.contract import MAX_BODY_BYTES, LifecycleEvent, decode_documents, is_batch


def test_a_body_is_one_event_or_an_array_of_them() -> None:
    one, two = cloudevent(), cloudevent(id="evt-2")
    assert decode_documents(json.dumps(one).encode()) == [one]
    assert decode_documents(json.dumps([one, two]).encode()) == [one, two]


@pytest.mark.parametrize(("body", "expected"), [(b" [{}]", True), (b"[", True), (b'{"a": []}', False), (b"", False)])
def test_a_batch_is_known_by_its_first_character(body: bytes, *, expected: bool) -> None:
    assert is_batch(body) is expected


def test_the_last_value_of_a_repeated_name_is_used() -> None:
    assert decode_documents(b'{"id": "first", "id": "last"}') == [{"id": "last"}]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"{} {}",
        b"\xff",
        b'"\xc3"',
        b"NaN",
        b"-Infinity",
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
        b"9" * 5000,
        CANARY.encode(),
    ],
)
def test_a_body_that_is_not_json_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidEvent, match=r"^body: is not JSON$"):
        decode_documents(body)


def test_a_batch_of_too_many_events_is_refused_whole() -> None:
    assert len(decode_documents(b"[" + b"0," * 9_999 + b"0]")) == 10_000
    with pytest.raises(InvalidEvent, match=r"^body: holds more than 10000 events$"):
        decode_documents(b"[" + b"0," * 10_000 + b"0]")


def test_an_empty_array_is_refused() -> None:
    with pytest.raises(InvalidEvent, match=r"^body: is an empty array$"):
        decode_documents(b"[]")


def test_a_body_beyond_the_limit_is_refused_unread() -> None:
    assert decode_documents(b"1".rjust(MAX_BODY_BYTES)) == [1]
    with pytest.raises(InvalidEvent, match=r"^body: larger than 1048576 bytes$"):
        decode_documents(b"x" * 10_000_000)


def test_a_lone_surrogate_spoils_only_its_own_event_of_the_batch() -> None:
    body = json.dumps([cloudevent(), cloudevent(source="\ud800"), cloudevent(id="\udc00")]).encode()
    good, bad, other = decode_documents(body)
    assert LifecycleEvent.from_cloudevent(good, "toolbox").event_id == "evt-1"
    assert refusal_of(bad) == "source: holds a character that is not printable"
    assert refusal_of(other) == "id: holds a character that is not printable"


@pytest.mark.parametrize(
    "body", [b'["\\ud800", NaN]', b'["\\ud800", Infinity]', b'["\\ud800"' + b"[" * 100_000, b'{"\xed']
)
def test_a_lone_surrogate_hides_no_other_error(body: bytes) -> None:
    with pytest.raises(InvalidEvent, match=r"^body: is not JSON$"):
        decode_documents(body)
