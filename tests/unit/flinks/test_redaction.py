import pytest

from tests.spellings import ENCODINGS
from worker.flinks.redaction import mask

LOGIN = "bb8b8569-3bfc-43c1-ae31-08d6decf1675"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (f"LoginId {LOGIN} is invalid", "LoginId *** is invalid"),
        (f"see {LOGIN.upper()}!", "see ***!"),
        ("other 0D5E2A51-7A10-4D8E-9A61-5F0C3B1F7E22.", "other ***."),
        ("guid aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", "guid ***"),
        ("token AbCdEf0123456789_-", "token ***"),
        ("LoginId acme-7 has now been activated", "LoginId *** has now been activated"),
        ("short abc-123 and INVALID_SECURITY_RESPONSE stay", "short abc-123 and INVALID_SECURITY_RESPONSE stay"),
        ("two\nlines\tand\x00 a\x1b[31m colour", "two lines and a[31m colour"),
        (f"hidden {LOGIN[:5]}\u200b\x00{LOGIN[5:]}", "hidden ***"),
    ],
)
def test_words_are_kept_and_identifiers_are_masked(text: str, masked: str) -> None:
    assert mask(text, LOGIN) == masked


@pytest.mark.parametrize("shown", ["a<b/7", "a&lt;b/7", "A%3CB%2F7", "a%3cb%2f7"])
def test_a_short_login_is_masked_in_any_spelling(shown: str) -> None:
    assert mask(f"no such login: {shown}.", "a<b/7") == "no such login: ***."


@pytest.mark.parametrize("login", [LOGIN, "acme/login+7", "maple"])
@pytest.mark.parametrize("encoding", sorted(set(ENCODINGS) - {"as it is", "upper case", "lower case"}))
def test_a_login_is_masked_in_every_spelling(login: str, encoding: str) -> None:
    shown = mask(f"who is <{ENCODINGS[encoding](login)}>?", login)
    assert shown.removeprefix("who is").strip(" <>?") == "***"


def test_a_login_spread_over_words_is_masked() -> None:
    assert mask(f"who is {LOGIN.replace('-', ' ')}?", LOGIN) == "***"


def test_a_long_text_is_cut_to_its_beginning() -> None:
    assert mask("word " * 10_000 + LOGIN, LOGIN) == ("word " * 40).strip()
    assert mask("w" * 60_000 + LOGIN, LOGIN) == "w" * 200


def test_a_cut_never_leaves_half_an_identifier() -> None:
    kept = mask("x " * 95 + LOGIN, LOGIN)
    assert kept == ("x " * 95 + "***")
    assert len(mask("word " * 100, LOGIN)) <= 200
    assert mask("w" * 201, LOGIN) == "w" * 200
