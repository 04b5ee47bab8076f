"""The fields of an event, their allowed values, and the reason for a refusal."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.unit.events.reading import ARGUMENTS, CANARY, SEALED, cloudevent, read, refusal, refusal_of
from worker.errors import InvalidEvent
from worker.events.contract import LifecycleEvent


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


def test_account_and_instance_may_be_null() -> None:
    event = read({**ARGUMENTS, "account_id": None, "instance": None})
    assert (event.account_id, event.instance) == (None, "toolbox")


@pytest.mark.parametrize("name", ["occurred_at", "event_id"])
def test_a_required_argument_that_is_missing_is_named(name: str) -> None:
    assert refusal({key: value for key, value in ARGUMENTS.items() if key != name}) == f"{name}: is required"


@pytest.mark.parametrize("login", [{}, {"login_id": "login-1", "sealed_login_id": SEALED}])
def test_a_celery_message_names_its_login_once_in_clear_or_sealed(login: dict[str, str]) -> None:
    others = {key: value for key, value in ARGUMENTS.items() if key != "login_id"}
    assert refusal({**others, **login}) == "event: needs login_id or sealed_login_id, one of the two"
    event = read({**others, "sealed_login_id": SEALED})
    assert (event.login_id, event.sealed_login_id) == ("", SEALED)


@pytest.mark.parametrize("data", [{}, {"loginId": "login-1", "sealedLoginId": SEALED}])
def test_a_cloudevent_names_its_login_once_in_clear_or_sealed(data: dict[str, str]) -> None:
    assert refusal_of(cloudevent(data=data)) == "data: needs loginId or sealedLoginId, one of the two"
    event = LifecycleEvent.from_cloudevent(cloudevent(data={"sealedLoginId": SEALED}), "toolbox")
    assert (event.login_id, event.sealed_login_id) == ("", SEALED)


@pytest.mark.parametrize(
    "text", ["", "login-1", SEALED[1:], SEALED.upper(), SEALED.replace(".", ":"), f"{SEALED}\n", SEALED * 30, "é" * 90]
)
def test_a_value_that_does_not_look_sealed_is_refused(text: str) -> None:
    reason = "sealed_login_id: must be <key id>.<base64url>: a sealed box to the key of `nightly keys public`"
    others = {key: value for key, value in ARGUMENTS.items() if key != "login_id"}
    assert refusal({**others, "sealed_login_id": text}) == reason
    assert refusal({**others, "sealed_login_id": 7}) == "sealed_login_id: must be a text"


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
def test_cloudevent_attributes_must_be_printable_text(name: str) -> None:
    assert refusal_of(cloudevent(**{name: "a\nb"})) == f"{name}: holds a character that is not printable"
    assert refusal_of(cloudevent(**{name: 5})) == f"{name}: must be a text"


def test_an_id_of_256_characters_is_accepted() -> None:
    assert read({**ARGUMENTS, "login_id": "é" * 256}).login_id == "é" * 256


@pytest.mark.parametrize("name", ["loginID", "maple", "f" * 40, "5e115eab-0000-4000-8000-00000c0ffee1", "é", "a\nb"])
def test_an_unknown_field_is_refused_without_repeating_its_name(name: str) -> None:
    expected = "(another field): is not a field of this event"
    assert refusal({**ARGUMENTS, name: 1}) == expected
    assert refusal_of(cloudevent(data={"loginId": "login-1", name: 1})) == f"data.{expected}"


@pytest.mark.parametrize("name", ["\ud800", 1, None, ("a", "b")])
def test_a_field_name_that_is_not_text_is_refused(name: object) -> None:
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
def test_an_event_must_be_an_object(document: object) -> None:
    assert refusal_of(document) == "event: must be an object"


def test_a_reason_lists_at_most_five_fields() -> None:
    assert refusal_of({}) == (
        "specversion: is required; id: is required; source: is required; type: is required; time: is required; "
        "and 1 more"
    )
