"""What the script of the page adds: parts that renew themselves and lose nothing that is typed, and keys."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import SignedIn, Visitor
from tests.browser.site import Site
from tests.browser.watched_pages import sign_in
from tests.people import ANN
from worker.ledger.gate_control import GateKeeper

ELSEWHERE = "elsewhere"
"""An instance without a login, so its gate stops no other test."""


@pytest.fixture
def gate(site: Site) -> Iterator[GateKeeper]:
    keeper = GateKeeper(site.redis)
    keeper.open(ELSEWHERE, by=ANN)
    yield keeper
    keeper.open(ELSEWHERE, by=ANN)


def renew_soon(page: Page) -> None:
    page.locator("#live").evaluate("part => { part.dataset.every = '0.1' }")


def test_a_page_shows_what_others_do_but_not_while_its_reader_works_in_it(
    gate: GateKeeper, signed_in: SignedIn
) -> None:
    page = signed_in("otto")
    page.goto("/operations")
    card = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name=ELSEWHERE))
    card.get_by_text("Close the gate").click()
    card.get_by_label("Reason").fill("maintenance")
    page.get_by_role("heading", name="Operations").click()
    gate.close(ELSEWHERE, by=ANN, reason="first come, first served")
    renew_soon(page)
    expect(page.get_by_text("Not updated while you work in it")).to_be_visible()
    expect(card.get_by_label("Reason")).to_have_value("maintenance")
    card.get_by_label("Reason").fill("")
    card.get_by_text("Close the gate").click()
    expect(page.get_by_text("first come, first served")).to_be_visible()
    expect(card.get_by_text("gate closed")).to_be_visible()


def test_an_answer_that_comes_while_its_reader_fills_in_a_form_does_not_replace_it(
    gate: GateKeeper, signed_in: SignedIn
) -> None:
    del gate  # the page has a card
    page = signed_in("otto")
    page.goto("/operations")
    held: list[Route] = []
    page.route("**/operations", lambda route: held.append(route))  # noqa: PLW0108 - Playwright takes no builtin
    with page.expect_request("**/operations"):
        renew_soon(page)
    card = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name=ELSEWHERE))
    card.get_by_text("Close the gate").click()
    card.get_by_label("Reason").fill("maintenance")
    page.get_by_role("heading", name="Operations").click()
    page.evaluate("document.body.addEventListener('htmx:afterRequest', (e) => e.currentTarget.dataset.answered = '')")
    held[0].continue_()
    expect(page.locator("body[data-answered]")).to_be_attached()
    expect(card.get_by_label("Reason")).to_have_value("maintenance")
    expect(page.get_by_text("Not updated while you work in it")).to_be_visible()


def test_the_end_of_a_session_is_told_and_leaves_the_page_as_it_is(gate: GateKeeper, signed_in: SignedIn) -> None:
    del gate  # the page has a card
    page = signed_in("otto")
    page.goto("/operations")
    page.context.clear_cookies()
    renew_soon(page)
    expect(page.get_by_text("Your session has ended")).to_be_visible()
    expect(page.get_by_role("heading", name=ELSEWHERE)).to_be_visible()


def test_a_row_without_a_link_takes_the_focus_and_the_keys_can_be_switched_off(visitor: Visitor) -> None:
    with visitor() as page:
        sign_in(page, "otto")
        page.goto("/audit")  # the newest entry is the sign-in, which has no page
        first = page.locator("[data-row]").first
        page.keyboard.press("j")
        expect(first).to_be_focused()
        page.keyboard.press("?")
        page.get_by_role("checkbox", name="Use these keys").uncheck()
        page.keyboard.press("Escape")
        expect(first).to_be_focused()
        page.get_by_label("Person").focus()
        page.get_by_label("Person").blur()
        page.keyboard.press("/")
        expect(page.locator("body")).to_be_focused()


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_time_is_shown_by_the_clock_of_redis_even_if_that_of_the_reader_is_wrong(
    gate: GateKeeper, signed_in: SignedIn, hours: int
) -> None:
    gate.close(ELSEWHERE, by=ANN, reason="maintenance")
    page = signed_in("otto")
    page.add_init_script(f"const now = Date.now; Date.now = () => now() + {hours * 3_600_000}")
    page.goto("/operations")
    card = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name=ELSEWHERE))
    expect(card.locator("time").first).to_have_text(re.compile(r"just now|\d+ s ago|1 min ago"))
