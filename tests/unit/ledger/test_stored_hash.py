"""Hashes of Redis that a person may have damaged."""

import pytest

from worker.errors import Unreadable
from worker.ledger.stored_hash import StoredHash


def stored(**fields: str) -> StoredHash:
    return StoredHash(
        "Letter dl-1", "nightly:letter:dl-1", {name.encode(): text.encode() for name, text in fields.items()}
    )


@pytest.mark.parametrize("text", ["", "-73", "1.5", "\u0661", "99999999999999999999", "bb8b8569-3bfc"])
def test_a_field_that_is_no_number_is_named_without_its_value(text: str) -> None:
    with pytest.raises(Unreadable, match=r"^Letter dl-1 is unreadable: its field at is ") as raised:
        stored(at=text).number("at")
    assert "nightly:letter:dl-1" in str(raised.value)
    assert not text or text not in str(raised.value).replace("253402300799999", "")


def test_a_missing_field_has_its_default_or_is_named() -> None:
    assert (stored().number("at", 3), stored().text("owner", "ann"), stored().number_or_none("at")) == (3, "ann", None)
    with pytest.raises(Unreadable, match="its field owner is missing"):
        stored().text("owner")


@pytest.mark.parametrize("text", ["0", "-1", "inf", "nan", "fast"])
def test_a_rate_is_positive_and_finite(text: str) -> None:
    with pytest.raises(Unreadable, match="its field rate is not a positive number"):
        stored(rate=text).rate("rate")
    assert (stored(rate="2.5").rate("rate"), stored().rate("rate")) == (2.5, None)


def test_a_key_of_another_type_is_unreadable() -> None:
    with pytest.raises(Unreadable, match="it is not a hash"):
        StoredHash("Letter dl-1", "nightly:letter:dl-1", None)
