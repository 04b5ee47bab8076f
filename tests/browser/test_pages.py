"""Every page, light on a laptop and dark on a phone: axe-core finds nothing wrong, and nothing is cut off.

With NIGHTLY_PICTURES=FOLDER the test also takes a picture of each; `make pictures` puts some of them into docs/.
"""

import os
from contextlib import nullcontext
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.browser.conftest import SignedIn, Visitor
from tests.browser.scenes import SCENES, Scene, Stage, set_the_stage
from tests.browser.site import Site

PICTURES = os.environ.get("NIGHTLY_PICTURES")
PHONE, LAPTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 800}
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
AXE = Axe()
TOO_WIDE = """() => [...document.querySelectorAll('body *')]
    .filter((part) => part.getBoundingClientRect().right > innerWidth + 1)
    .map((part) => part.outerHTML.slice(0, 120))"""


@pytest.fixture(scope="package")
def stage(site: Site) -> Stage:
    return set_the_stage(site)


@pytest.mark.parametrize("scene", SCENES, ids=[scene.name for scene in SCENES])
def test_axe_finds_nothing_wrong_and_nothing_is_cut_off(
    visitor: Visitor, signed_in: SignedIn, stage: Stage, scene: Scene
) -> None:
    with nullcontext(signed_in(scene.user)) if scene.user else visitor() as page:
        page.goto(scene.path_on(stage))
        wrong = [*judge(page, scene.name, LAPTOP, "light"), *judge(page, scene.name, PHONE, "dark")]
    assert not wrong, "\n".join(wrong)


def test_a_mistake_on_a_page_is_found(browser: Browser) -> None:
    with browser.new_page() as page:
        page.set_content("""<html lang="en"><title>x</title><main><h1>x</h1><img src="data:,">
            <p style="color: #777; background: #888">dim</p><div style="width: 500px">wide</div></main>""")
        wrong = "\n".join(judge(page, "mistakes", PHONE, "dark"))
    assert "image-alt" in wrong
    assert "390 px, dark" in wrong
    assert "color-contrast" in wrong
    assert "390 px: wider than the window" in wrong


def judge(page: Page, name: str, size: dict[str, int], scheme: Literal["light", "dark"]) -> list[str]:
    """Return what is wrong with a page at one size and in one colour scheme."""
    page.set_viewport_size(size)
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    wrong = []
    found = AXE.run(page, options={"runOnly": TAGS, "resultTypes": ["violations"]})
    if found.violations_count:
        wrong.append(f"{size['width']} px, {scheme}: {found.generate_report()}")
    if page.evaluate("document.scrollingElement.scrollWidth") > size["width"]:
        wrong.append(f"{size['width']} px: wider than the window: {page.evaluate(TOO_WIDE)[:3]}")
    if PICTURES:
        take_pictures(page, Path(PICTURES) / f"{name}-{size['width']}")
    return wrong


def take_pictures(page: Page, path: Path) -> None:
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.screenshot(path=f"{path}-{scheme}.png", full_page=True)
