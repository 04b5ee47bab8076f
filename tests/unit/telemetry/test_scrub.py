"""Secrets are masked, and useful values are kept."""

import uuid
from collections import UserDict
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import pytest

from worker.telemetry.scrub import (
    MASK,
    MAX_TEXT_CHARACTERS,
    is_denied,
    scrub_exception_text,
    scrub_quotes,
    scrub_text,
    scrub_value,
)

GUID = "5e115eab-0000-4000-8000-00000c0ffee1"
OPAQUE = "L0gin-canary-abcdef-123456"
REFERENCE = "lgn_" + "a2" * 13


@pytest.mark.parametrize(
    "text",
    [
        f"login {GUID} is wrong",
        f"login {GUID.upper()}",
        f"login {GUID.replace('-', '')}",
        f"{{{GUID}}}",
        GUID,
        f"https://host/v3/{GUID}/path?loginId={GUID}",
        f"LoginId {GUID} has now been activated",
        "".join(["x" * 1990, " ", GUID]),
    ],
)
def test_a_guid_is_masked_in_every_position(text: str) -> None:
    shown = scrub_text(text).lower().replace("-", "")
    assert GUID.replace("-", "")[:12] not in shown


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("redis://:hunter2@host:6379/0", "hunter2"),
        ("rediss://user:p@ss/word@host:6379/0", "word"),
        ("amqp://guest:guest1@host//", "guest1"),
        ("flinks-auth-key: abc", "abc"),
        ("{'flinks-auth-key': 'abc'}", "abc"),
        ("Authorization: Bearer abc", "abc"),
        ("sent bearer abc there", "abc"),
        ("login_id='maple tree'", "maple"),
        ('{"loginId": "maple \\" tree"}', "tree"),
        ("https://host/?login_id=maple&x=1", "maple"),
        ("LOGIN_KEYS=maple", "maple"),
        ("crm=whsec_bW/+FwbGU= is not", "FwbGU"),
        ("LoginId maple tree has now been deactivated", "tree"),
        ("password=maple", "maple"),
    ],
)
def test_a_named_secret_is_masked_however_short(text: str, secret: str) -> None:
    assert secret not in scrub_text(text)
    assert scrub_text(scrub_text(text)) == scrub_text(text)


@pytest.mark.parametrize(
    "text",
    [
        f"wish of {REFERENCE} recorded",
        "login_id: is required; time: must be an RFC 3339 time such as 2026-11-22T10:00:00Z",
        "Error 111 connecting to localhost:6379. Connection refused.",
        "INVALID_SECURITY_RESPONSE_NO_RETRY",
        "nightly:due:toolbox:live",
        "LoginId",
    ],
)
def test_values_that_an_operator_needs_are_kept(text: str) -> None:
    assert scrub_text(text) == text


def test_a_guid_without_digits_is_masked() -> None:
    assert scrub_text("aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee") == MASK


def test_a_longer_word_that_contains_a_reference_is_masked() -> None:
    assert REFERENCE not in scrub_text(REFERENCE + "7")


def test_a_cut_never_leaves_part_of_a_secret() -> None:
    for filling in range(MAX_TEXT_CHARACTERS - 40, MAX_TEXT_CHARACTERS + 1):
        shown = scrub_text("y" * (filling - 1) + " " + OPAQUE + " tail")
        assert "L0gin" not in shown
        assert len(shown) <= MAX_TEXT_CHARACTERS + 40


def test_quotes_are_masked_even_where_one_is_left_open() -> None:
    assert scrub_quotes("can't read 'a b' or \"it's\", nor `c`, nor b'd") == (
        f"can't read {MASK} or {MASK}, nor {MASK}, nor {MASK}"
    )


def test_an_exception_that_quotes_values_loses_them_and_one_that_quotes_code_does_not() -> None:
    assert scrub_exception_text("KeyError", repr("maple")) == MASK
    missing = "'NoneType' object has no attribute 'hostname'"
    assert scrub_exception_text("AttributeError", missing) == missing
    assert scrub_exception_text("TypeError", "got 'maple tree'") == f"got {MASK}"
    assert scrub_exception_text("RemoteTraceback", "KeyError: maple") == ""


@pytest.mark.parametrize(
    "name",
    ["login_id", "loginId", "LoginId", "flinks-auth-key", "x_flinks_auth_key", "Authorization", "kwargs", "body"],
)
def test_a_denied_name_is_recognised_in_every_spelling(name: str) -> None:
    assert is_denied(name)
    assert scrub_value({"deep": [{name: "maple"}]}) == {"deep": [{name: MASK}]}


@pytest.mark.parametrize("name", ["login", "instance", "code", "wish", "revision", "event_id"])
def test_our_own_field_names_are_not_denied(name: str) -> None:
    assert scrub_value({name: "toolbox"}) == {name: "toolbox"}


def test_plain_data_becomes_what_json_can_hold() -> None:
    class Wish(StrEnum):
        ON = "on"

    class Unknown:
        def __repr__(self) -> str:
            return GUID

    value = {
        "wish": Wish.ON,
        "at": datetime(2026, 11, 22, 10, tzinfo=UTC),
        "took": timedelta(seconds=1.5),
        "bytes": GUID.encode(),
        "uuid": uuid.UUID(GUID),
        "unknown": Unknown(),
        "nan": float("nan"),
        "huge": 10**5000,
        "set": {1},
        "tuple": (True, None, 2.5),
        "error": KeyError("maple"),
        GUID: 1,
    }
    assert scrub_value(value) == {
        "wish": "on",
        "at": "2026-11-22T10:00:00+00:00",
        "took": 1.5,
        "bytes": "[36 bytes]",
        "uuid": "UUID",
        "unknown": "Unknown",
        "nan": "nan",
        "huge": "int",
        "set": [1],
        "tuple": [True, None, 2.5],
        "error": f"KeyError: {MASK}",
        MASK: 1,
    }


def test_an_endless_structure_is_cut() -> None:
    loop: list[object] = []
    loop.append(loop)
    assert "[deep]" in str(scrub_value(loop))
    assert scrub_value(list(range(60)))[-1] == "... 10 more"  # type: ignore[index]  # a list comes of a list
    assert len(scrub_value({str(n): n for n in range(60)})) == 51  # type: ignore[arg-type]  # and a dict of a dict


def test_a_hostile_object_becomes_its_types_name() -> None:
    class Hostile(UserDict[str, str]):
        def items(self) -> object:  # type: ignore[override]  # that is the hostility
            raise RuntimeError(GUID)

    assert scrub_value({"x": Hostile()}) == {"x": "Hostile"}


def test_a_quote_that_is_left_open_before_a_backslash_hides_no_secret() -> None:
    assert "hunter" not in scrub_text("password: 'hunter\\")
    assert "hunter" not in scrub_quotes("said 'hunter\\")
