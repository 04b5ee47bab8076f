"""A reference names a login without revealing it; a sealed loginId opens only for its own reference."""

import base64
import hmac
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from worker.errors import NeedsLoginKeys, SealError
from worker.vault.vault import Vault, _derive, decode_key, needed, new_key

GUID = "5e115eab-0000-4000-8000-00000c0ffee1"
OLD, NEW, OTHER = bytes(32), bytes(range(32)), bytes(range(1, 33))
KEPT = Vault([OLD])

logins = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=256),
    st.uuids().map(str),
    st.uuids().map(lambda value: str(value).upper()),
    st.uuids().map(lambda value: value.hex),
    st.uuids().map(lambda value: f"g{value}"),
)


def test_a_new_key_has_32_random_bytes() -> None:
    keys = {new_key() for _ in range(8)}
    assert len({decode_key(key) for key in keys}) == 8
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", key) for key in keys)


def test_a_key_may_be_padded_or_in_the_other_base64_alphabet() -> None:
    raw = b"\xfb\xff" * 16
    spellings = [base64.urlsafe_b64encode(raw), base64.urlsafe_b64encode(raw).rstrip(b"="), base64.b64encode(raw)]
    assert {decode_key(spelling.decode()) for spelling in spellings} == {raw}


@pytest.mark.parametrize(
    "text", ["", "a", "A" * 42, "A" * 44, "A" * 42 + "!", "é" * 43, "A" * 20 + " " + "A" * 22, "!!!!" + "A" * 43]
)
def test_an_invalid_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the setting's rule says it in words
        decode_key(text)


def test_a_reference_is_short_lower_case_and_reveals_nothing() -> None:
    reference = KEPT.reference("toolbox", GUID)
    assert re.fullmatch(r"lgn_[a-z2-7]{26}", reference)
    assert reference != Vault([OTHER]).reference("toolbox", GUID)


def test_references_never_change() -> None:
    assert KEPT.reference("toolbox", GUID) == "lgn_qczxyfu5kgat7jjnkev3sgbpma"


@given(st.text())
def test_a_reference_is_the_base32_of_an_hmac(login_id: str) -> None:
    key, text = _derive(OLD, b"reference"), f"login\0toolbox\0{login_id}"
    digest = hmac.digest(key, text.encode("utf-8", "surrogatepass"), "sha256")
    assert KEPT.reference("toolbox", login_id) == "lgn_" + base64.b32encode(digest[:20]).decode().lower()[:26]


def test_stored_seals_and_fingerprints_stay_valid_for_ever() -> None:
    """The ledger keeps both: a change in how they are made would lose every login."""
    sealed_guid = "01042200aae29adcba1dfe63b1eab230ec9372344e137bd2893edb4c3fede9686216fdaa5187dd5bd9ba0e6727f12401ea8d"
    sealed_text = "01042200aad5f3134856c9e6c553bf11c73b4b8d06b678381660e90aa5c1ca7bc8b25c7c224b1f10aea56218"
    assert KEPT.open_login("lgn_qczxyfu5kgat7jjnkev3sgbpma", bytes.fromhex(sealed_guid)) == GUID
    assert KEPT.open_login("lgn_ol4ysj4qjamjgnajf4zrcsy5oh", bytes.fromhex(sealed_text)) == "not-a-guid"
    assert (KEPT.fingerprint("reference"), KEPT.fingerprint("a", "b")) == ("seunhwgvroc4", "mskvdjknodzq")


def test_a_login_of_another_instance_is_another_login() -> None:
    assert KEPT.reference("acme-us", GUID) != KEPT.reference("acme-ca", GUID)


def test_a_guid_in_capitals_is_the_same_login_and_other_text_is_not() -> None:
    assert KEPT.reference("toolbox", GUID.upper()) == KEPT.reference("toolbox", GUID)
    assert KEPT.reference("toolbox", "Opaque") != KEPT.reference("toolbox", "opaque")
    assert KEPT.reference("toolbox", GUID.upper() + "x") != KEPT.reference("toolbox", GUID + "x")


def test_a_new_key_in_front_keeps_every_reference_and_opens_what_the_old_one_sealed() -> None:
    rotated = Vault([NEW, OLD])
    reference = KEPT.reference("toolbox", GUID)
    assert rotated.reference("toolbox", GUID) == reference
    assert rotated.open_login(reference, KEPT.seal_login(reference, GUID)) == GUID


def test_a_login_sealed_by_the_newest_key_needs_that_key() -> None:
    sealed = Vault([NEW, OLD]).seal_login("lgn_a", GUID)
    assert Vault([NEW]).open_login("lgn_a", sealed) == GUID
    with pytest.raises(SealError, match="LOGIN_KEYS does not hold"):
        KEPT.open_login("lgn_a", sealed)


def test_the_keys_have_public_names_newest_first() -> None:
    assert Vault([NEW, OLD]).key_ids == (*Vault([NEW]).key_ids, *KEPT.key_ids)
    assert KEPT.key_ids[0] not in OLD.hex()


@given(logins)
@example(GUID)
@example(GUID.upper())
@example("g")
@example("\x00")
@example("😀" * 256)
def test_every_login_is_opened_exactly_as_sealed(login: str) -> None:
    assert KEPT.open_login("lgn_a", KEPT.seal_login("lgn_a", login)) == login


def test_a_guid_is_sealed_in_50_bytes_and_never_twice_alike() -> None:
    sealed = {KEPT.seal_login("lgn_a", GUID) for _ in range(8)}
    assert {len(item) for item in sealed} == {50}
    assert len(sealed) == 8


def test_a_sealed_login_cannot_be_moved_to_another_reference() -> None:
    with pytest.raises(SealError, match="altered, or belong to another login"):
        KEPT.open_login("lgn_b", KEPT.seal_login("lgn_a", GUID))


def test_no_single_bit_can_be_altered() -> None:
    sealed = KEPT.seal_login("lgn_a", GUID)
    for bit in range(len(sealed) * 8):
        altered = bytearray(sealed)
        altered[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SealError):
            KEPT.open_login("lgn_a", bytes(altered))


def test_truncated_sealed_bytes_are_refused() -> None:
    sealed = KEPT.seal_login("lgn_a", GUID)
    for length in range(len(sealed)):
        with pytest.raises(SealError):
            KEPT.open_login("lgn_a", sealed[:length])


def test_a_refusal_shows_neither_login_nor_key() -> None:
    with pytest.raises(SealError) as caught:
        KEPT.open_login("lgn_b", KEPT.seal_login("lgn_a", GUID))
    assert GUID not in repr(caught.value)
    assert repr(KEPT).startswith("<")


def test_a_fingerprint_changes_with_every_part_and_with_the_key() -> None:
    vault = KEPT
    fingerprints = [
        vault.fingerprint("a", "b"),
        vault.fingerprint("a", "c"),
        vault.fingerprint("b", "a"),
        vault.fingerprint("ab"),
        vault.fingerprint(),
        vault.fingerprint("\ud800"),
        Vault([OTHER]).fingerprint("a", "b"),
    ]
    assert len(set(fingerprints)) == len(fingerprints)
    assert all(re.fullmatch(r"[a-z2-7]{12}", item) for item in fingerprints)
    assert vault.fingerprint("a", "b") == Vault([NEW, OLD]).fingerprint("a", "b")


def test_what_needs_a_vault_says_so_where_there_is_none() -> None:
    assert needed(KEPT) is KEPT
    with pytest.raises(NeedsLoginKeys, match=r"^This needs LOGIN_KEYS.*Nothing was done\.$"):
        needed(None)
