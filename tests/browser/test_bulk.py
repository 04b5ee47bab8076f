"""Bulk jobs in a browser: a thousand letters are replayed with visible progress, and another job is cancelled."""

import re
from itertools import pairwise

from playwright.sync_api import Page, expect

from tests.browser.conftest import SignedIn
from tests.browser.site import Site
from tests.browser.test_one_letter import WITH_AND_WITHOUT, group_of
from tests.waiting import eventually

MANY = 1000
SLOWLY = 120
"""Letters a second: the job takes longer than two renewals of its page."""
ENDED = re.compile(r"([\d,]+) of ([\d,]+) ended")


def prepare_replay(page: Page, instance: str, count: int) -> None:
    """Go to the preflight for all letters of an instance, and confirm that it shows them."""
    page.goto("/")
    group_of(page, instance).get_by_role("button", name="Replay all").click()
    expect(page.get_by_text(f"{count:,} selected")).to_be_visible()


def run(page: Page, count: int) -> None:
    """Run the job as the preflight asks: above 100 letters, with their number typed."""
    if count > 100:
        page.get_by_label(re.compile("^Type .* to confirm")).fill(str(count))
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_role("heading", name="Results")).to_be_visible()


def ended(page: Page) -> int:
    """Return how many letters have ended, as the page shows it."""
    found = ENDED.search(page.get_by_label("Progress").inner_text())
    assert found
    return int(found[1].replace(",", ""))


def ended_after_a_click(page: Page) -> int:
    """Return how many letters have ended by the page that the link Refresh brings."""
    page.get_by_role("link", name="Refresh").click()
    return ended(page)


def test_a_thousand_letters_are_replayed_and_the_page_shows_the_progress(site: Site, signed_in: SignedIn) -> None:
    logins = site.file_letters(MANY, instance="toolbox")
    site.set_known(*logins)
    page = signed_in("otto")
    prepare_replay(page, "toolbox", MANY)
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_role("heading", name="What will happen")).to_be_visible()
    assert site.open_letters("toolbox") == MANY, "it ran without the typed number"

    page.locator("summary", has_text="Limit the rate").click()
    page.get_by_label("Letters a second").fill(str(SLOWLY))
    run(page, MANY)
    seen = [ended(page)]
    while seen[-1] < MANY:
        eventually(lambda: ended(page) > seen[-1], seconds=30, describe="progress without a reload")
        seen.append(ended(page))
    assert len(seen) >= 3, f"no progress was shown in between: {seen}"
    assert all(earlier < later for earlier, later in pairwise(seen))
    expect(page.get_by_label("Progress")).to_contain_text("100")
    assert site.open_letters("toolbox") == 0
    assert all(site.flags(logins))


@WITH_AND_WITHOUT
def test_a_cancelled_job_replays_no_further_letter(site: Site, signed_in: SignedIn, *, script: bool) -> None:
    instance, count = ("alpha" if script else "beta"), 120
    logins = site.file_letters(count, instance=instance)
    site.set_known(*logins)
    page = signed_in("otto", java_script_enabled=script)
    with site.closed_gate(instance):
        prepare_replay(page, instance, count)
        run(page, count)
        page.locator("summary", has_text="Cancel").click()
        page.get_by_role("button", name="Cancel").click()
        expect(page.get_by_text("cancelled").first).to_be_visible()
        left = site.open_letters(instance)
    site.comes_to_rest(instance)
    called = sum(map(bool, site.flags(logins)))
    assert site.open_letters(instance) == left
    assert called == count - left < count


def test_without_javascript_chosen_letters_and_a_whole_group_are_replayed_and_a_link_shows_the_progress(
    site: Site, signed_in: SignedIn
) -> None:
    chosen, count = 2, 103
    logins = site.file_letters(count, instance="zeta")
    site.set_known(*logins)
    page = signed_in("otto", java_script_enabled=False)
    page.goto("/letters?instance=zeta&code=INVALID_LOGIN")
    for box in page.get_by_role("checkbox", name="Select dl").all()[:chosen]:
        box.check()
    page.get_by_role("button", name="Replay selected").click()
    expect(page.get_by_text(f"{chosen} selected")).to_be_visible()
    run(page, chosen)
    eventually(lambda: ended_after_a_click(page) == chosen, describe="the end of the job")
    assert sum(map(bool, site.flags(logins))) == chosen

    with site.closed_gate("zeta"):
        prepare_replay(page, "zeta", count - chosen)
        run(page, count - chosen)
        eventually(lambda: "gate of zeta is closed" in page.inner_text("main"), describe="why nothing moves")
        assert ended_after_a_click(page) == 0
    eventually(lambda: ended_after_a_click(page) == count - chosen, seconds=30, describe="the end of the job")
    assert all(site.flags(logins))
