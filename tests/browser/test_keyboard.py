"""The keys of the pages, and the way to a button without a mouse. No key acts: it moves the focus."""

from playwright.sync_api import expect

from tests.browser.conftest import SignedIn
from tests.browser.site import Site
from tests.browser.test_live_parts import renew_soon


def test_rows_are_reached_selected_and_opened_with_keys(site: Site, signed_in: SignedIn) -> None:
    site.file_letters(3, instance="gamma")
    page = signed_in("otto")
    page.goto("/letters?instance=gamma")
    rows = page.locator("tbody tr").all()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("x")
    assert [row.get_by_role("checkbox").is_checked() for row in rows[:3]] == [False, True, False]
    expect(page.get_by_text("1 selected")).to_be_visible()
    page.keyboard.press("k")
    first = rows[0].get_by_role("link").first
    expect(first).to_be_focused()
    letter = first.inner_text()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/letters/{letter}")
    page.keyboard.press("r")
    expect(page.get_by_role("button", name="Replay")).to_be_focused()
    assert site.open_letters("gamma") >= 3, "a key replayed a letter"


def test_the_search_box_takes_letters_as_text_and_the_list_of_keys_opens_and_closes(signed_in: SignedIn) -> None:
    page = signed_in("vera")
    page.goto("/")
    page.keyboard.press("/")
    page.keyboard.type("jkx?r/")
    expect(page.get_by_role("searchbox")).to_have_value("jkx?r/")
    page.get_by_role("searchbox").blur()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_the_first_tab_leads_past_the_navigation(signed_in: SignedIn) -> None:
    page = signed_in("vera")
    page.goto("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.querySelector('main').contains(document.activeElement)")


def test_what_is_typed_survives_the_renewal_of_a_page(site: Site, signed_in: SignedIn) -> None:
    site.file_letters(1, instance="gamma")
    page = signed_in("otto")
    page.goto("/")
    with page.expect_response("**/") as renewed:
        page.get_by_role("searchbox").fill("half an id")
        renew_soon(page)
    assert renewed.value.request.headers.get("hx-request") == "true"
    expect(page.get_by_role("searchbox")).to_have_value("half an id")
