"""Every spelling of a loginId is found, and ordinary ids are not mistaken for it."""

import base64
import json
import random
import string
import uuid

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from tests.spellings import CASELESS, ENCODINGS, OF_A_GUID, mixed
from worker.vault.spellings import Spellings

GUID = "5e115eab-0000-4000-8000-00000c0ffee1"
ODD = "jo+anne@bank:42"

logins = st.one_of(
    st.uuids().map(str),
    st.uuids().map(lambda value: str(value).upper()),
    st.uuids().map(lambda value: value.hex),
    st.text(string.ascii_letters + string.digits + "+-_@:./ ~", min_size=6, max_size=64).map(str.strip),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=4, max_size=32),
)
LOSSY = {"upper case", "lower case", "percent in lower case"}
"""They cannot be decoded around base64, nor around a few letters of other alphabets."""
around = st.text(string.ascii_letters + string.digits + "-_.:/@ +", max_size=24)


@given(logins, around, around, st.sampled_from(sorted(ENCODINGS)))
@example(ODD, "link-", "", "percent")
@example(GUID, "link-", "", "base64url after 0 bytes")
@settings(max_examples=800)
def test_no_spelling_is_overlooked_in_any_position(login: str, before: str, after: str, encoding: str) -> None:
    assume(encoding not in LOSSY or login.isascii())
    assert Spellings(login).are_in(before + ENCODINGS[encoding](login) + after)


@given(logins, around, around, st.lists(st.sampled_from(sorted(set(ENCODINGS) - LOSSY)), min_size=2, max_size=2))
@settings(max_examples=800)
def test_no_spelling_is_overlooked_within_another(login: str, before: str, after: str, encodings: list[str]) -> None:
    text = login
    for encoding in encodings:
        text = ENCODINGS[encoding](before + text)
    assert Spellings(login).are_in(text + after)


@given(logins, around, st.randoms(use_true_random=False))
@settings(max_examples=200)
def test_mixed_spellings_of_a_login_are_found(login: str, before: str, chance: random.Random) -> None:
    assert Spellings(login).are_in(before + mixed(login, chance))


@given(st.uuids().map(str), around, around, st.sampled_from(sorted(OF_A_GUID)))
@settings(max_examples=400)
def test_a_guid_is_found_by_its_digits_and_by_its_bytes(login: str, before: str, after: str, encoding: str) -> None:
    text = before + OF_A_GUID[encoding](login) + after
    for one in (login, login.upper(), uuid.UUID(login).hex):
        assert Spellings(one).are_in(text)
    assert Spellings(login).are_in(base64.b64encode(text.encode()).decode())


@given(
    st.uuids().map(str) | st.text(string.ascii_letters + string.digits + "-", min_size=12),
    st.sampled_from(sorted(CASELESS)),
)
def test_base64_in_lower_case_is_found(login: str, encoding: str) -> None:
    assert Spellings(login).are_in(f"link-{CASELESS[encoding](login)}-1")


@given(st.text(), st.text(min_size=1))
@example("", "\ud800%\\ud800&#xd800;")
@example("é\ud800", "%ff\\u{110000}\\u{0010ffff}&#x110000;=" + "A" * 60)
def test_no_text_raises(login: str, text: str) -> None:
    assert Spellings(login).are_in(text) in {True, False}


@given(st.uuids().map(str), st.uuids(), st.binary(min_size=15, max_size=60))
def test_other_ids_are_not_mistaken_for_the_login(login: str, other: uuid.UUID, raw: bytes) -> None:
    assume(login != str(other))
    spellings = Spellings(login)
    for text in (
        "evt-1",
        "cust-42",
        str(other),
        f"link:{other}:1",
        json.dumps(str(other)),
        f"acct%2F{other}",
        raw.hex(),
        base64.urlsafe_b64encode(raw).decode(),
    ):
        assert not spellings.are_in(text)


@pytest.mark.parametrize("login", ["acme-7", "g", "maple"])
def test_a_short_login_leaves_other_short_ids_alone(login: str) -> None:
    assert not Spellings(login).are_in("evt-1")
    assert Spellings(login).are_in(f"evt-{login.upper()}-1")


def test_its_repr_shows_nothing() -> None:
    assert GUID[:8] not in repr(Spellings(GUID))


def test_an_endless_number_in_an_html_reference_raises_nothing() -> None:
    assert not Spellings("maple-1").are_in("&#" + "9" * 5_000)
    assert Spellings("maple-1").are_in(f"&#{'0' * 5_000}109;aple-1")
