"""What people do with a group of letters and with a gate, and how the audit log shows it; also without JavaScript."""

from datetime import UTC, datetime, timedelta

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import SignedIn
from tests.browser.site import Site
from tests.browser.test_bulk import run
from tests.browser.test_one_letter import WITH_AND_WITHOUT, group_of, open_action
from tests.people import ANN
from tests.waiting import eventually


def press_in(place: Locator, summary: str, button: str, **fields: str) -> None:
    """Open the box of an action, fill in its fields, and press its button."""
    place.locator("summary", has_text=summary).click()
    for label, text in fields.items():
        place.get_by_label(label).locator("visible=true").fill(text)
    place.get_by_role("button", name=button, exact=True).click()


def quiet_group(page: Page, instance: str, done: str) -> Locator:
    """Wait for what was done, unfold the quiet groups, and return that of this instance."""
    expect(page.locator(".flash")).to_contain_text(done)
    page.wait_for_load_state()
    if not page.locator("details.later[open]").count():  # the browser opens it if the address leads to a group in it
        open_action(page, "acknowledged or muted")
    return group_of(page, instance)


@WITH_AND_WITHOUT
def test_a_group_is_assigned_acknowledged_reopened_muted_and_resolved(
    site: Site, signed_in: SignedIn, *, script: bool
) -> None:
    instance = "eta" if script else "theta"
    site.file_letters(1, instance=instance)
    page = signed_in("otto", java_script_enabled=script)
    page.goto("/")
    group = group_of(page, instance)
    press_in(group, "Assign", "Assign", Name="vera")
    expect(group).to_contain_text("owner: vera")
    group.get_by_role("button", name="Acknowledge").click()
    group = quiet_group(page, instance, "is acknowledged")
    expect(group).to_contain_text("acknowledged until it grows")
    group.get_by_role("button", name="Reopen").click()
    press_in(group, "Mute", "Mute", Until=f"{datetime.now(UTC) + timedelta(days=2):%Y-%m-%dT%H:%M}")
    group = quiet_group(page, instance, "is muted")
    expect(group).to_contain_text("muted until")
    press_in(group, "Resolve all", "Go to the preflight", Note="the customer left")
    run(page, 1)
    eventually(lambda: site.open_letters(instance) == 0, describe="the end of the job")
    page.get_by_role("link", name="dl-").first.click()
    expect(page.get_by_text("the customer left").first).to_be_visible()


@WITH_AND_WITHOUT
def test_a_gate_is_closed_and_opened_and_the_audit_log_shows_it_and_is_verified_and_exported(
    site: Site, signed_in: SignedIn, *, script: bool
) -> None:
    instance = f"gate-{script}".lower()
    site.services.gate.open(instance, by=ANN)
    page = signed_in("ada", java_script_enabled=script)
    page.goto("/operations")
    card = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name=instance))
    press_in(card, "Close the gate", "Close gate", Reason="maintenance")
    expect(card).to_contain_text("gate closed")
    press_in(card, "Open the gate", "Open gate", Reason="it is over")
    expect(card).to_contain_text("gate open")

    page.get_by_role("link", name="Audit").click()
    page.get_by_label("Target").fill(instance)
    page.get_by_label("Person").fill("ada")
    page.get_by_role("button", name="Filter").click()
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(2)
    for row, shown in zip(rows.all(), ("gate.open", "gate.close"), strict=True):
        expect(row).to_contain_text(shown)
    with page.expect_download() as download:
        page.get_by_role("link", name="Export").click()
    assert instance in download.value.path().read_text()
    page.get_by_role("link", name="Verify").click()
    expect(page.get_by_text("The chain is intact.")).to_be_visible()
