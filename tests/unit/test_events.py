"""A message is accepted whole or refused with a reason, and no reason repeats what was sent."""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from worker.errors import InvalidEvent
from worker.events import MAX_BODY_BYTES, CeleryArguments, LifecycleEvent, LoginData, decode_documents

CANARY = "Zq7cAnArYzQ"
TIME = "2026-11-22T10:00:00Z"
ARGUMENTS = {"login_id": "login-1", "occurred_at": TIME, "event_id": "evt-1"}
MALFORMED_TIME = "occurred_at: must be an RFC 3339 time such as 2026-11-22T10:00:00Z"


def cloudevent(**changes: Any) -> dict[str, Any]:
    event = {
        "specversion": "1.0",
        "id": "evt-1",
        "source": "crm",
        "type": "account.inactive",
        "time": TIME,
        "data": {"loginId": "login-1"},
    }
    return {name: value for name, value in (event | changes).items() if value is not ...}


def read(arguments: Mapping[str, Any], event_type: str = "account.linked") -> LifecycleEvent:
    return LifecycleEvent.from_celery(event_type, arguments, "toolbox")


def refusal(arguments: Mapping[str, Any]) -> str:
    with pytest.raises(InvalidEvent) as caught:
        read(arguments)
    assert caught.value.code == "invalid_event"
    return caught.value.reason


def refusal_of(document: object) -> str:
    with pytest.raises(InvalidEvent) as caught:
        LifecycleEvent.from_cloudevent(document, "toolbox")
    return caught.value.reason


def test_celery_arguments_become_an_event() -> None:
    event = read({**ARGUMENTS, "account_id": "cust-42", "instance": "acme-us"})

    assert event == LifecycleEvent(
        login_id="login-1",
        instance="acme-us",
        wants_active=True,
        occurred_at=datetime(2026, 11, 22, 10, tzinfo=UTC),
        event_id="evt-1",
        account_id="cust-42",
    )
    assert read(ARGUMENTS, "account.inactive").wants_active is False


def test_a_cloudevent_becomes_an_event_and_its_extensions_are_ignored() -> None:
    document = cloudevent(subject="cust-42", datacontenttype="application/json", traceparent="00-1", partitionkey=7)
    event = LifecycleEvent.from_cloudevent(document, "toolbox")

    assert (event.event_id, event.account_id, event.instance) == ("evt-1", "cust-42", "toolbox")
    assert event.wants_active is False
    assert LifecycleEvent.from_cloudevent(cloudevent(type="account.linked"), "toolbox").wants_active is True


def test_an_event_without_account_or_instance_may_say_so_with_null() -> None:
    event = read({**ARGUMENTS, "account_id": None, "instance": None})
    assert (event.account_id, event.instance) == (None, "toolbox")


@pytest.mark.parametrize("name", ["login_id", "occurred_at", "event_id"])
def test_a_required_argument_that_is_missing_is_named(name: str) -> None:
    assert refusal({key: value for key, value in ARGUMENTS.items() if key != name}) == f"{name}: is required"


@pytest.mark.parametrize("name", ["specversion", "id", "source", "type", "time", "data"])
def test_a_required_attribute_that_is_missing_is_named(name: str) -> None:
    assert refusal_of(cloudevent(**{name: ...})) == f"{name}: is required"


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        (3, "must be a text"),
        (True, "must be a text"),
        (b"login", "must be a text"),
        (["login"], "must be a text"),
        ("", "string should have at least 1 character"),
        ("x" * 257, "string should have at most 256 characters"),
        ("a\nb", "holds a character that is not printable"),
        ("a\x00b", "holds a character that is not printable"),
        ("a\x7fb", "holds a character that is not printable"),
        ("a\u200bb", "holds a character that is not printable"),
        ("a\u202eb", "holds a character that is not printable"),
        ("a\u00a0b", "holds a character that is not printable"),
        ("\ud800", "holds a character that is not printable"),
        (" a", "begins or ends with a space"),
        ("a ", "begins or ends with a space"),
    ],
)
@pytest.mark.parametrize("name", ["login_id", "event_id", "account_id", "instance"])
def test_an_id_is_one_to_256_printable_characters(name: str, value: object, rule: str) -> None:
    assert refusal({**ARGUMENTS, name: value}) == f"{name}: {rule}"


@pytest.mark.parametrize("name", ["id", "source", "subject"])
def test_the_attributes_of_a_cloudevent_follow_the_same_rule(name: str) -> None:
    assert refusal_of(cloudevent(**{name: "a\nb"})) == f"{name}: holds a character that is not printable"
    assert refusal_of(cloudevent(**{name: 5})) == f"{name}: must be a text"


def test_an_id_of_256_characters_is_accepted() -> None:
    assert read({**ARGUMENTS, "login_id": "é" * 256}).login_id == "é" * 256


@pytest.mark.parametrize(
    "time",
    [
        1763805600,
        1763805600.5,
        "1763805600",
        None,
        True,
        "",
        "now",
        "2026-11-22",
        date(2026, 11, 22),
        "2026-11-22T10:00Z",
        "20261122T100000Z",
        "2026-11-22T10:00:00Z\n",
        "2026-11-22T10:00:00.Z",
        "2026-11-22T10:00:00 Z",
        "2026-11-22T10:00:00+0100",
        "2026-11-22T10:00:00+99:99",
        "2026-11-22T24:00:00Z",
        "2026-02-30T10:00:00Z",
        "2026-12-31T23:59:60Z",  # no datetime holds a leap second
        "0000-01-01T00:00:00Z",
        "٢٠٢٦-11-22T10:00:00Z",
    ],
)
def test_what_is_no_rfc_3339_time_is_refused(time: object) -> None:
    assert refusal({**ARGUMENTS, "occurred_at": time}) == MALFORMED_TIME


@pytest.mark.parametrize("time", ["2026-11-22T10:00:00", datetime(2026, 11, 22, 10)])  # noqa: DTZ001 - the case
def test_a_time_without_a_zone_is_refused_rather_than_guessed(time: object) -> None:
    assert refusal({**ARGUMENTS, "occurred_at": time}) == "occurred_at: needs a time zone, for example a final Z"


@pytest.mark.parametrize(
    "time",
    [
        "1969-12-31T23:59:59.999999Z",
        "2254-12-31T00:00:01Z",
        "9999-12-31T23:59:59-23:59",  # in UTC this is the year 10000
        "0001-01-01T00:00:00+23:59",
        datetime.max.replace(tzinfo=timezone(-timedelta(hours=5))),
        datetime.min.replace(tzinfo=timezone(timedelta(hours=5))),
    ],
)
def test_a_time_that_the_ledger_cannot_order_is_refused(time: object) -> None:
    assert refusal({**ARGUMENTS, "occurred_at": time}) == "occurred_at: lies before 1970 or after 2254"


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (TIME, "2026-11-22T10:00:00+00:00"),
        ("2026-11-22t10:00:00z", "2026-11-22T10:00:00+00:00"),
        ("2026-11-22 10:00:00+00:00", "2026-11-22T10:00:00+00:00"),
        ("2026-11-22T05:00:00-05:00", "2026-11-22T10:00:00+00:00"),
        ("2026-11-22T10:00:00.1234567Z", "2026-11-22T10:00:00.123456+00:00"),  # .NET writes seven digits
        ("2026-11-22T10:00:00.999999999Z", "2026-11-22T10:00:00.999999+00:00"),
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00+00:00"),
        (datetime(2026, 11, 22, 12, tzinfo=timezone(timedelta(hours=2))), "2026-11-22T10:00:00+00:00"),
    ],
)
def test_a_time_is_kept_in_utc_to_the_microsecond(time: object, expected: str) -> None:
    assert read({**ARGUMENTS, "occurred_at": time}).occurred_at.isoformat() == expected


@given(
    st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(2254, 12, 30)),  # noqa: DTZ001 - zone follows
    st.integers(-1439, 1439),
)
@example(datetime(2254, 12, 30, 23, 59, 59, 999_999), 0)  # noqa: DTZ001 - zone follows
def test_order_is_that_of_instants_and_exact_to_the_microsecond(moment: datetime, offset_minutes: int) -> None:
    local = moment.replace(tzinfo=UTC).astimezone(timezone(timedelta(minutes=offset_minutes)))
    key = read({**ARGUMENTS, "occurred_at": local.isoformat()}).occurred_us

    assert datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=key) == local
    assert int(float(key)) == key, "Lua's numbers are doubles"
    assert read({**ARGUMENTS, "occurred_at": local + timedelta(microseconds=1)}).occurred_us == key + 1


@pytest.mark.parametrize("name", ["loginID", "maple", "f" * 40, "5e115eab-0000-4000-8000-00000c0ffee1", "é", "a\nb"])
def test_a_field_that_is_not_ours_is_refused_and_its_name_not_repeated(name: str) -> None:
    expected = "(another field): is not a field of this event"
    assert refusal({**ARGUMENTS, name: 1}) == expected
    assert refusal_of(cloudevent(data={"loginId": "login-1", name: 1})) == f"data.{expected}"


@pytest.mark.parametrize("name", ["\ud800", 1, None, ("a", "b")])
def test_a_field_name_that_is_no_text_is_refused(name: object) -> None:
    arguments: Any = {**ARGUMENTS, name: 1}
    assert refusal(arguments)


def test_positional_arguments_are_refused() -> None:
    with pytest.raises(InvalidEvent, match=r"^args: must be empty; send keyword arguments$"):
        LifecycleEvent.from_celery("account.linked", ARGUMENTS, "toolbox", args=[CANARY])


@pytest.mark.parametrize("version", ["0.3", "1", 1.0, None])
def test_another_specversion_is_refused(version: object) -> None:
    assert refusal_of(cloudevent(specversion=version)) == "specversion: input should be '1.0'"


@pytest.mark.parametrize("event_type", ["account.Linked", "account.deleted", "", None, 7])
def test_an_unknown_type_is_refused(event_type: object) -> None:
    assert refusal_of(cloudevent(type=event_type)) == "type: input should be 'account.linked' or 'account.inactive'"


def test_data_in_another_format_is_refused() -> None:
    assert refusal_of(cloudevent(datacontenttype="text/xml")) == "datacontenttype: input should be 'application/json'"
    assert refusal_of(cloudevent(data='{"loginId": "login-1"}')) == "data: must be an object"
    assert refusal_of(cloudevent(data={"loginId": "login-1", "instance": 5})) == "data.instance: must be a text"


@pytest.mark.parametrize("document", [None, 1, "text", [], [cloudevent()], True])
def test_what_is_no_object_is_no_event(document: object) -> None:
    assert refusal_of(document) == "event: must be an object"


def test_a_reason_lists_at_most_five_fields() -> None:
    assert refusal_of({}) == (
        "specversion: is required; id: is required; source: is required; type: is required; time: is required; "
        "and 1 more"
    )


def test_a_body_is_one_event_or_an_array_of_them() -> None:
    one, two = cloudevent(), cloudevent(id="evt-2")
    assert decode_documents(json.dumps(one).encode()) == [one]
    assert decode_documents(json.dumps([one, two]).encode()) == [one, two]


def test_of_a_name_that_stands_twice_the_last_counts() -> None:
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
def test_what_is_no_json_is_refused(body: bytes) -> None:
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


def test_no_representation_shows_the_login() -> None:
    shown = [
        read({**ARGUMENTS, "login_id": CANARY}),
        CeleryArguments.model_validate({**ARGUMENTS, "login_id": CANARY}),
        LoginData.model_validate({"loginId": CANARY}),
    ]
    assert CANARY not in repr(shown)


def test_neither_the_message_nor_its_cause_shows_the_login() -> None:
    with pytest.raises(InvalidEvent) as caught:
        read({**ARGUMENTS, "login_id": CANARY + "\n"})
    assert CANARY not in f"{caught.value!s} {caught.value!r} {caught.value.__context__!s}"
    assert caught.value.__suppress_context__


_BAD = st.sampled_from([CANARY, f"{CANARY}\n", f" {CANARY}", CANARY * 40, {CANARY: CANARY}, [CANARY], CANARY.encode()])
_VALUES = st.one_of(_BAD, st.sampled_from([None, 7, True, "2026-11-22", TIME, f"{TIME}{CANARY}", "x"]))


@given(
    st.dictionaries(st.sampled_from([*ARGUMENTS, "account_id", "instance", CANARY, CANARY.swapcase()]), _VALUES),
    st.dictionaries(st.sampled_from([*cloudevent(), "subject", "datacontenttype", CANARY]), _VALUES),
    st.dictionaries(st.sampled_from(["loginId", "instance", CANARY]), _VALUES),
)
def test_no_reason_repeats_anything_that_was_sent(
    arguments: dict[str, object], attributes: dict[str, object], data: dict[str, object]
) -> None:
    documents = [attributes, cloudevent(**attributes), cloudevent(data=data), [attributes], CANARY]
    reasons = []
    for take_in in (
        lambda: read(arguments),
        lambda: read(ARGUMENTS | arguments),
        *(lambda document=document: LifecycleEvent.from_cloudevent(document, "toolbox") for document in documents),
    ):
        try:
            take_in()
        except InvalidEvent as error:
            reasons.append(str(error))

    assert reasons, "a list and a bare text are never events"
    assert CANARY.lower() not in " ".join(reasons).lower()


def test_half_a_character_spoils_its_own_event_and_no_other_of_the_batch() -> None:
    body = json.dumps([cloudevent(), cloudevent(source="\ud800"), cloudevent(id="\udc00")]).encode()
    good, bad, other = decode_documents(body)
    assert LifecycleEvent.from_cloudevent(good, "toolbox").event_id == "evt-1"
    assert refusal_of(bad) == "source: holds a character that is not printable"
    assert refusal_of(other) == "id: holds a character that is not printable"


@pytest.mark.parametrize(
    "body", [b'["\\ud800", NaN]', b'["\\ud800", Infinity]', b'["\\ud800"' + b"[" * 100_000, b'{"\xed']
)
def test_half_a_character_lets_nothing_else_through(body: bytes) -> None:
    with pytest.raises(InvalidEvent, match=r"^body: is not JSON$"):
        decode_documents(body)
