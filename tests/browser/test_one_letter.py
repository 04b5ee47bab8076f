"""What a person does with one dead letter in a real browser, down to the emulated Flinks; also without JavaScript."""

import json
import uuid

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import SignedIn
from tests.browser.site import Site
from tests.waiting import eventually

WITH_AND_WITHOUT = pytest.mark.parametrize("script", [True, False], ids=["with JavaScript", "without JavaScript"])


def group_of(page: Page, instance: str) -> Locator:
    return page.get_by_role("listitem").filter(has=page.get_by_text(instance, exact=True))


def open_letter(page: Page, instance: str) -> None:
    """Go from the groups to the newest letter of an instance, by its links."""
    page.goto("/")
    group_of(page, instance).get_by_role("link", name="INVALID_LOGIN").click()
    page.get_by_role("row").nth(1).get_by_role("link").first.click()
    expect(page.get_by_role("heading", name="What a replay would do now")).to_be_visible()


def open_action(page: Page, summary: str) -> None:
    page.locator("summary", has_text=summary).first.click()


def expect_done(page: Page) -> None:
    """Wait for the message that says what the last action did."""
    expect(page.locator(".flash.is-done")).to_be_visible()


@WITH_AND_WITHOUT
def test_a_letter_is_corrected_and_another_one_replayed_and_both_are_applied_at_flinks(
    site: Site, signed_in: SignedIn, *, script: bool
) -> None:
    instance = "north" if script else "south"
    (login,) = site.file_letters(1, instance=instance)
    page = signed_in("otto", java_script_enabled=script)

    open_letter(page, instance)
    corrected = str(uuid.uuid4())
    page.get_by_label("New loginId").fill(corrected)
    page.get_by_label("Reason").fill("a typing error")
    page.get_by_role("button", name="Correct", exact=True).click()
    expect_done(page)
    eventually(lambda: site.flag(corrected), describe="the call for the corrected login")
    assert site.flag(login) is None
    assert corrected not in page.content()

    (login,) = site.file_letters(1, instance=instance)
    site.set_known(login)
    open_letter(page, instance)
    page.get_by_role("button", name="Replay").click()
    expect_done(page)
    eventually(lambda: site.flag(login), describe="the replayed call")
    page.reload()
    expect(page.get_by_text("replayed", exact=True).first).to_be_visible()
    expect(page.get_by_role("button", name="Replay")).to_have_count(0)
    assert site.open_letters(instance) == 0


@WITH_AND_WITHOUT
def test_a_note_an_owner_and_the_reason_of_a_closed_letter_are_kept_with_the_name_of_who_wrote_them(
    site: Site, signed_in: SignedIn, *, script: bool
) -> None:
    instance = "north" if script else "south"
    site.file_letters(1, instance=instance, on=False)
    page = signed_in("otto", java_script_enabled=script)
    open_letter(page, instance)
    for field, text, button in (
        ("Note", "asked the customer", "Add note"),
        ("Name", "vera", "Assign"),
        ("Note", "the card was deleted", "Resolve"),
    ):
        if button == "Assign":
            open_action(page, "Assign")
        page.get_by_label(field, exact=True).fill(text)
        page.get_by_role("button", name=button, exact=True).click()
        expect_done(page)
    for shown in ("asked the customer", "owner: vera", "the card was deleted", "otto"):
        expect(page.get_by_text(shown).first).to_be_visible()
    assert site.open_letters(instance) == 0


@WITH_AND_WITHOUT
def test_a_rejected_message_is_corrected_and_resubmitted_without_showing_its_login(
    site: Site, signed_in: SignedIn, *, script: bool
) -> None:
    login, account = str(uuid.uuid4()), f"account-{script}"
    site.publish_undated(login, instance="west", account=account)
    page = signed_in("otto", java_script_enabled=script)
    page.goto("/")
    page.get_by_role("searchbox").fill(account)
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_text("time", exact=True)).to_be_visible()
    message = page.get_by_role("textbox", name="Message")
    body = json.loads(message.input_value())
    assert login not in page.content()
    message.fill(json.dumps(body | {"time": "2026-11-22T10:00:00Z"}))
    page.get_by_label("Reason").last.fill("the producer forgot the time")
    page.get_by_role("button", name="Correct and resubmit").click()
    expect_done(page)
    eventually(lambda: site.flag(login), describe="the call for the corrected message")


def reveal(page: Page, reason: str, login: str) -> None:
    page.locator("#reveal").get_by_label("Reason").fill(reason)
    page.get_by_role("button", name="Reveal loginId").click()
    expect(page.get_by_text(login)).to_be_visible()


def expect_hidden(page: Page, login: str) -> None:
    """Expect the page of the letter without the loginId."""
    expect(page.get_by_role("heading", name="What a replay would do now")).to_be_visible()
    expect(page.get_by_text(login)).to_have_count(0)


@WITH_AND_WITHOUT
def test_only_an_admin_sees_a_login_and_neither_a_reload_nor_the_back_button_reveals_it_again(
    site: Site, signed_in: SignedIn, *, script: bool
) -> None:
    (login,) = site.file_letters(1, instance="east")
    operator, admin = (signed_in(name, java_script_enabled=script) for name in ("otto", "ada"))
    open_letter(operator, "east")
    expect(operator.get_by_text("Reveal")).to_have_count(0)
    open_letter(admin, "east")
    reveal(admin, "the customer asked for it", login)
    assert login not in f"{admin.url} {admin.context.storage_state()}"
    admin.reload()
    expect_hidden(admin, login)
    reveal(admin, "once more", login)
    admin.get_by_role("link", name="Operations").click()
    admin.wait_for_url("/operations")
    admin.go_back()
    expect_hidden(admin, login)
    for reason in ("the customer asked for it", "once more"):
        expect(admin.get_by_text(reason)).to_have_count(1)


def test_what_a_second_person_does_with_an_old_page_is_refused(site: Site, signed_in: SignedIn) -> None:
    site.file_letters(1, instance="west")
    first, second = signed_in("otto"), signed_in("ada", java_script_enabled=False)
    for page in (first, second):
        open_letter(page, "west")
    for page in (first, second):
        page.locator("#resolve").get_by_label("Note").fill("done")
        page.locator("#resolve").get_by_role("button", name="Resolve").click()
    expect_done(first)
    expect(second.get_by_role("heading", name="This was not done")).to_be_visible()
    expect(second.get_by_text("resolved by otto")).to_be_visible()
    assert site.open_letters("west") == 0
