"""What a viewer can do: read every page, and change nothing."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import SignedIn, Visitor
from tests.browser.site import Site
from tests.browser.test_one_letter import open_letter

ACTIONS = (
    "Replay", "Resolve", "Correct", "Reveal loginId", "Run", "Nothing left to switch off", "Assign", "Snooze", "Cancel",
    "Acknowledge", "Mute", "Close", "Open", "Pause",
)  # fmt: skip


@pytest.mark.parametrize("script", [True, False], ids=["with JavaScript", "without JavaScript"])
def test_a_viewer_finds_no_button_that_changes_anything(site: Site, signed_in: SignedIn, *, script: bool) -> None:
    if not site.open_letters("delta"):
        site.file_letters(1, instance="delta")
    page = signed_in("vera", java_script_enabled=script)
    open_letter(page, "delta")
    for path in ("", "/", "/letters", "/bulk", "/operations"):
        if path:
            page.goto(path)
        names = page.get_by_role("button").all_inner_texts()
        assert not [name for name in names if name.strip().startswith(ACTIONS)], names
        expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def test_a_viewer_who_sends_the_form_of_an_operator_is_refused_and_changes_nothing(
    site: Site, signed_in: SignedIn
) -> None:
    if not site.open_letters("delta"):
        site.file_letters(1, instance="delta")
    page = signed_in("vera")
    open_letter(page, "delta")
    before = site.open_letters("delta")
    with page.expect_response("**/resolve") as answer:
        page.evaluate("""() => {
            const form = document.createElement('form');
            form.method = 'post';
            form.action = location.pathname + '/resolve';
            for (const [name, value] of [['csrf', document.querySelector('[name=csrf]').value], ['note', 'mine']]) {
                const field = document.createElement('input');
                [field.name, field.value] = [name, value];
                form.append(field);
            }
            document.body.append(form);
            form.submit();
        }""")
    assert answer.value.status == 403
    assert site.open_letters("delta") == before


def test_a_visitor_is_sent_to_the_sign_in_page_and_a_wrong_password_says_no_more_than_that(
    visitor: Visitor,
) -> None:
    with visitor() as page:
        page.goto("/letters")
        page.get_by_label("Name").fill("otto")
        page.get_by_label("Password").fill("wrong")
        page.get_by_role("button", name="Sign in").click()
        refusal = page.get_by_role("alert").inner_text()
        page.get_by_label("Name").fill("nobody")
        page.get_by_label("Password").fill("wrong")
        page.get_by_role("button", name="Sign in").click()
        assert page.get_by_role("alert").inner_text() == refusal
        page.goto("/")
        expect(page.get_by_role("button", name="Sign in")).to_be_visible()
