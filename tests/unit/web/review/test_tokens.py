import pytest

from worker.errors import SettingsError
from worker.web.review.tokens import entry_for, holder_of, new_token, parse_tokens

TOKEN = new_token()


def test_a_token_opens_with_the_role_of_its_entry_and_no_other_text_does() -> None:
    tokens = parse_tokens(f"{entry_for('ci', 'operator', TOKEN)}, {entry_for('bi', 'viewer', new_token())},")
    holder = holder_of(tokens, f"Bearer {TOKEN}")
    assert holder
    assert (holder.name, holder.role, holder.via) == ("ci", "operator", "api")
    for header in (TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer", "Bearer \udcff", f"Bearer {TOKEN * 100}", ""):
        assert holder_of(tokens, header) is None


def test_the_entry_does_not_hold_the_token() -> None:
    assert TOKEN not in entry_for("ci", "viewer", TOKEN)
    assert len(TOKEN) > 40


@pytest.mark.parametrize(
    "entry",
    [
        "canary",
        "ci:boss:" + "a" * 64,
        "ci:viewer:canary",
        "c i:viewer:" + "a" * 64,
        entry_for("ci", "viewer", "x") + ":y",
    ],
)
def test_a_wrong_entry_is_named_by_its_position_never_by_its_content(entry: str) -> None:
    with pytest.raises(SettingsError, match=r"^REVIEW_TOKENS \(entry 2\): must be name:role:hash") as caught:
        parse_tokens(f"{entry_for('bi', 'viewer', TOKEN)},{entry}")
    assert "canary" not in str(caught.value)


def test_a_name_or_a_token_may_appear_only_once() -> None:
    for other in (entry_for("ci", "admin", "other"), entry_for("bi", "admin", TOKEN)):
        with pytest.raises(SettingsError, match="used twice"):
            parse_tokens(f"{entry_for('ci', 'viewer', TOKEN)},{other}")
