"""A producer seals a loginId with only the public key, and only the workers' private key opens it."""

import base64
import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.public import PublicKey, SealedBox

from worker.errors import SealError, UnknownKey
from worker.events.models import SEALED
from worker.vault.sealed_box import OpeningKeys, SealingKey

GUID = "5e115eab-0000-4000-8000-00000c0ffee1"
NEW, OLD = bytes(range(32)), bytes(range(1, 33))
KEYS = OpeningKeys([NEW, OLD])


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=256))
def test_a_login_sealed_to_either_key_opens_unchanged(login_id: str) -> None:
    for key in KEYS.public:
        assert KEYS.open(key.seal(login_id)) == login_id


def test_a_sealed_login_reveals_nothing_and_differs_each_time() -> None:
    key = KEYS.public[0]
    texts = {key.seal(GUID) for _ in range(8)}
    assert len(texts) == 8
    assert {len(text) for text in texts} == {121}
    assert not any(GUID in text or GUID.replace("-", "") in text for text in texts)


def test_workers_open_what_any_libsodium_seals() -> None:
    """As a producer in another language does: the text of the public key is split at its full stop."""
    key_id, _, encoded = str(KEYS.public[0]).partition(".")
    raw = base64.urlsafe_b64decode(encoded + "=")
    box = SealedBox(PublicKey(raw)).encrypt(GUID.encode())
    padded = base64.urlsafe_b64encode(box).decode()
    for text in (padded, padded.rstrip("=")):
        assert KEYS.open(f"{key_id}.{text}") == GUID


def test_public_keys_never_change() -> None:
    """Producers hold the public key, and a stream may hold logins sealed to it."""
    assert str(KEYS.public[0]) == "eedd883d.j0DFrbaPJWJK5bIU6nZ6bslNgp09e14a0bpvPiE4KF8"
    assert [key.id for key in OpeningKeys([OLD]).public] == [KEYS.public[1].id]


def test_a_login_sealed_to_a_missing_key_names_that_key() -> None:
    text = KEYS.public[0].seal(GUID)
    with pytest.raises(UnknownKey) as caught:
        OpeningKeys([OLD]).open(text)
    assert caught.value.key_id == KEYS.public[0].id


@given(st.integers(0, 111), st.sampled_from("AQgw_-z9"))
def test_an_altered_sealed_login_does_not_open(at: int, letter: str) -> None:
    key_id, _, box = KEYS.public[0].seal(GUID).partition(".")
    altered = box[:at] + letter + box[at + 1 :]
    if base64.urlsafe_b64decode(altered) != base64.urlsafe_b64decode(box):
        with pytest.raises(SealError):
            KEYS.open(f"{key_id}.{altered}")


@pytest.mark.parametrize(
    "text",
    [
        "", ".", "x", GUID, f"{KEYS.public[0].id}.", f"{KEYS.public[0].id}.A", f"{KEYS.public[0].id}.{'A' * 64}",
        f"{KEYS.public[0].id}.{'A' * 65}", f"{KEYS.public[0].id}.{'A' * 2000}", str(KEYS.public[0]),
    ],
)  # fmt: skip
def test_an_invalid_sealed_login_does_not_open_and_is_not_repeated(text: str) -> None:
    with pytest.raises(SealError) as caught:
        KEYS.open(text)
    assert not text or text not in str(caught.value) or text in {".", "x"}


def test_sealed_bytes_that_are_not_text_do_not_open() -> None:
    raw = base64.urlsafe_b64decode(str(KEYS.public[0]).partition(".")[2] + "=")
    box = base64.urlsafe_b64encode(SealedBox(PublicKey(raw)).encrypt(b"\xff\xfe")).decode()
    with pytest.raises(SealError):
        KEYS.open(f"{KEYS.public[0].id}.{box}")


def test_a_public_key_is_parsed_and_a_typing_mistake_is_found() -> None:
    text = str(KEYS.public[0])
    assert str(SealingKey.parse(text)) == text
    assert SealingKey.parse(f"{text}=").id == KEYS.public[0].id
    with pytest.raises(ValueError, match="mistyped"):
        SealingKey.parse(text[:-2] + ("B" if text[-2] != "B" else "C") + text[-1])
    with pytest.raises(ValueError, match="mistyped"):
        SealingKey.parse("0" * 8 + text[8:])
    zeros = SealingKey(bytes(32))
    for wrong in (str(zeros), "", "x", text[9:], text[:-4], f"{text}AAAA", base64.b64encode(os.urandom(32)).decode()):
        with pytest.raises(ValueError, match="nightly keys public"):
            SealingKey.parse(wrong)


def test_a_sealed_guid_has_the_length_that_the_contract_expects() -> None:
    for login_id in ("x", GUID, "\U0001f600" * 256):
        assert re.fullmatch(SEALED[1:-1], KEYS.public[0].seal(login_id))
