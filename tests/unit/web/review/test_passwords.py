import pytest

from worker.web.review.passwords import MAX_PASSWORD_BYTES, hash_password, is_hash, matches


def test_a_hash_fits_its_password_alone() -> None:
    hashed = hash_password("correct horse", log2_n=10)
    assert matches("correct horse", hashed)
    assert not matches("correct horsf", hashed)
    assert hashed != hash_password("correct horse", log2_n=10)


def test_a_hash_survives_settings_shells_and_compose_files() -> None:
    hashed = hash_password("x", log2_n=10)
    assert is_hash(hashed)
    assert not set(hashed) & set(":,$'\" `\\#")


@pytest.mark.parametrize("text", ["", "secret", "scrypt.30.8.3." + "a" * 22 + "." + "b" * 43, "scrypt.15.8.3.a.b"])
def test_an_invalid_or_too_expensive_hash_matches_nothing(text: str) -> None:
    assert not is_hash(text)
    assert not matches("secret", text)


def test_an_overlong_password_is_not_hashed() -> None:
    long = "x" * (MAX_PASSWORD_BYTES + 1)
    assert not matches(long, hash_password(long, log2_n=10))
