"""What a viewer and a visitor can do: a viewer reads every page and changes nothing, a visitor signs in."""

from playwright.sync_api import expect

from tests.browser.conftest import SignedIn, Visitor
from tests.browser.site import Site
from tests.browser.test_one_letter import WITH_AND_WITHOUT, open_letter
from tests.browser.watched_pages import sign_in, sign_in_with

ACTIONS = (
    "Replay", "Resolve", "Correct", "Reveal loginId", "Run", "Nothing left to switch off", "Assign", "Snooze", "Cancel",
    "Acknowledge", "Mute", "Close", "Open", "Pause",
)  # fmt: skip


@WITH_AND_WITHOUT
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


@WITH_AND_WITHOUT
def test_a_visitor_signs_in_and_out_and_a_wrong_password_does_not_tell_which_names_exist(
    visitor: Visitor, *, script: bool
) -> None:
    with visitor(java_script_enabled=script) as page:
        refusals = []
        for name in ("otto", "nobody"):
            sign_in_with(page, name, "wrong")
            refusals.append(page.get_by_role("alert").inner_text())
        assert refusals[0] == refusals[1]
        sign_in(page, "otto")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        page.get_by_role("button", name="Sign out").click()
        page.goto("/letters")
        expect(page.get_by_role("button", name="Sign in")).to_be_visible()
