"""A rejected message is shown without loginIds, and what was hidden comes back unchanged."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.leaks import leaks
from worker.errors import InvalidAction
from worker.operations.masked_body import EDITABLE_BYTES, Kept, MaskedBody, mask_body
from worker.vault.vault import Vault

VAULT = Vault([bytes(32)])
LOGIN = "5e115eab-0000-4000-8000-00000c0ffee1"
EVENT = {"specversion": "1.0", "id": "evt-1", "source": "crm", "type": "account.linked", "time": "2026-11-22T10:00:00Z"}
EVENT |= {"subject": "cust-42", "datacontenttype": "application/json"}
OPAQUE = "anna.4711"


def shown(document: object) -> Any:
    return json.loads(mask_body(json.dumps(document).encode(), VAULT).text)


def test_known_fields_are_shown_and_the_login_id_is_not() -> None:
    event = EVENT | {"data": {"loginId": LOGIN, "instance": "toolbox"}}
    assert shown(event) == event | {"data": {"loginId": "[kept 1]", "instance": "toolbox"}}


def test_a_celery_message_is_shown_the_same_way() -> None:
    kwargs = {"login_id": OPAQUE, "occurred_at": "yesterday", "event_id": f"link-{OPAQUE}", "account_id": "cust-42"}
    message = {"type": "account.linked", "args": ["on"], "kwargs": kwargs}
    assert shown(message) == {
        "type": "account.linked",
        "args": ["[kept 1]"],
        "kwargs": {
            "login_id": "[kept 2]",
            "occurred_at": "[kept 3]",
            "event_id": "[kept 4]",
            "account_id": "cust-42",
        },
    }


@pytest.mark.parametrize(
    "document",
    [
        EVENT | {"logn_id": OPAQUE},
        EVENT | {"data": {"LoginID": OPAQUE, "user": {"id": OPAQUE}}},
        EVENT | {"data": {OPAQUE: True}},
        EVENT | {OPAQUE: {"id": 1}},
        EVENT | {"id": OPAQUE, "data": {"loginId": OPAQUE}},
        EVENT | {"subject": f"c-{OPAQUE}", "data": {"login": [{"id": OPAQUE}], "loginId": OPAQUE}},
        EVENT | {"type": OPAQUE},
        EVENT | {"time": OPAQUE},
        EVENT | {"data": OPAQUE},
        EVENT | {"data": [OPAQUE, {"instance": OPAQUE}]},
        {"type": "account.linked", "args": [OPAQUE], "kwargs": {"event_id": f"e-{OPAQUE}", "occurred_at": "now"}},
        [EVENT | {"data": {"loginId": OPAQUE}}, OPAQUE, [OPAQUE]],
        OPAQUE,
        {"payload": {"specversion": OPAQUE, "kwargs": {"instance": OPAQUE}}},
    ],
    ids=range(14),
)
def test_a_login_id_in_any_field_is_never_shown(document: object) -> None:
    for body in (
        json.dumps(document),
        json.dumps(document)[:-1],
        json.dumps(document).replace(":", "="),
        f"x{document}",
    ):
        for text in (body, body.replace(OPAQUE, LOGIN)):
            found = mask_body(text.encode(), VAULT)
            assert not leaks([OPAQUE, LOGIN], [("the text", found.text.encode())])
            assert OPAQUE not in repr(found)
            assert LOGIN not in repr(found)


@pytest.mark.parametrize("number", [0, 4711, 10**30, 1.5e300])
def test_a_number_is_hidden_and_stays_a_number(number: float) -> None:
    body = mask_body(json.dumps({"data": {"loginId": number, "is": True, "no": None, "nil": ""}}).encode(), VAULT)
    assert json.loads(body.text) == {"data": {"loginId": "[kept 1]", "is": True, "no": None, "nil": ""}}
    assert json.loads(body.restored(body.text))["data"]["loginId"] == number


def test_a_number_can_become_a_text_without_being_seen() -> None:
    body = mask_body(b'{"data": {"loginId": 4711}}', VAULT)
    corrected = body.restored(body.text.replace("[kept 1]", "[kept 1 as text]"))
    assert json.loads(corrected) == {"data": {"loginId": "4711"}}


def test_equal_values_have_the_same_placeholder_so_that_a_person_sees_it() -> None:
    found = shown([EVENT | {"data": {"loginId": name}} for name in ("anna", "bert", "anna")])
    assert [event["data"]["loginId"] for event in found] == ["[kept 1]", "[kept 2]", "[kept 1]"]


def test_a_value_within_a_longer_text_is_put_back_there() -> None:
    body = mask_body(json.dumps({"data": {"loginId": 'a "b"'}}).encode(), VAULT)
    assert json.loads(body.restored('["x [kept 1]", "[kept 1] x", "[kept 1]"]')) == ['x a "b"', 'a "b" x', 'a "b"']


def test_a_text_that_looks_like_a_placeholder_comes_back_as_it_was() -> None:
    event = EVENT | {"id": "[kept 1]", "subject": "[kept 1 as text]", "data": {"loginId": "[kept 7]"}}
    body = mask_body(json.dumps(event).encode(), VAULT)
    assert json.loads(body.restored(body.text)) == event


def test_a_text_that_is_not_json_keeps_its_shape() -> None:
    broken = '{"specversion": "1.0", "type": "account.linked", "data": {"loginId": "' + LOGIN + '", "id": 12,}'
    body = mask_body(broken.encode(), VAULT)
    assert body.text == (
        '{"specversion": "[kept 1]", "type": "account.linked", "data": {"loginId": "[kept 2]", "id": [kept 3],}'
    )
    assert body.restored(body.text).decode() == broken
    corrected = body.restored(body.text.replace(",}", "}}"))
    assert json.loads(corrected)["data"]["loginId"] == LOGIN


def test_unprintable_characters_are_shown_as_escapes_or_question_marks() -> None:
    event = EVENT | {"data": {"instance": "é"}, "a\u202eb": 1}
    body = mask_body(json.dumps(event, ensure_ascii=False).encode(), VAULT)
    assert "\u202e" not in body.text
    assert '"é"' in body.text
    assert json.loads(body.restored(body.text)) == event
    assert mask_body(b"{\x00\x1b\xff}", VAULT).text.isprintable()


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 900 + b"1" + b"}" * 900, b"\xff\xfe", b"", b"9" * 10_000])
def test_garbage_is_shown_somehow(body: bytes) -> None:
    found = mask_body(body, VAULT)
    assert found.is_editable
    assert found.text.replace("\n", "").isprintable()


def test_a_large_body_is_not_shown() -> None:
    found = mask_body(b" " * (EDITABLE_BYTES + 1), VAULT)
    assert (found.is_editable, found.text) == (False, "The body has 262,145 bytes, which is too much to be shown.")


@pytest.mark.parametrize("number", ["0", "2", "999999"])
def test_a_placeholder_without_a_value_is_refused(number: str) -> None:
    with pytest.raises(InvalidAction, match=rf"no value \[kept {number}\]"):
        MaskedBody("", kept=(Kept('"a"', "a"),)).restored(f'{{"loginId": "[kept {number}]"}}')


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(_JSON | st.dictionaries(st.sampled_from(["id", "data", "kwargs", "args", "time", "loginId"]), _JSON))
def test_any_json_comes_back_unchanged(document: object) -> None:
    body = mask_body(json.dumps(document).encode(), VAULT)
    assert json.loads(body.restored(body.text)) == document


def test_a_number_beyond_all_limits_stays_as_it_is() -> None:
    body = mask_body(b'{"data": [1e999, -1e999]}', VAULT)
    assert json.loads(body.restored(body.text)) == {"data": [float("inf"), float("-inf")]}
    assert b"1e999" in body.restored(body.text)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_any_printable_text_comes_back_unchanged(text: str) -> None:
    body = mask_body(f"{text} {{".encode(), VAULT)
    assert body.restored(body.text).decode() == f"{text} {{"
