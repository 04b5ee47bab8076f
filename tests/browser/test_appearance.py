"""Every page, on a laptop and on a phone, light and dark: axe-core finds nothing wrong, and nothing is cut off.

The name makes it the first file here, so the pages show nothing of other tests: axe takes longer on a full page.
With NIGHTLY_PICTURES=FOLDER the test also takes a picture of each; `make pictures` puts some of them into docs/.
"""

import os
from contextlib import nullcontext
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
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
AXE = Axe().axe_script
RUN_AXE = """async (tags) => (await axe.run({ runOnly: tags, resultTypes: ['violations'] })).violations
    .map((rule) => [rule.id, rule.help, ...rule.nodes.map((node) => node.html + node.failureSummary)].join(': '))"""
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
        wrong = judge(page, scene.name)
    assert not wrong, "\n".join(wrong)


def test_a_mistake_on_a_page_is_found(browser: Browser) -> None:
    with browser.new_page() as page:
        page.set_content("""<html lang="en"><title>x</title><main><h1>x</h1><img src="data:,"><p>dim</p>
            <style>@media (prefers-color-scheme: dark) { p { color: #777; background: #888 } }</style>
            <div style="width: 500px">wide</div></main>""")
        wrong = "\n".join(judge(page, "mistakes"))
    assert "image-alt" in wrong
    for size in ("390 px", "1280 px"):
        assert f"{size}, dark: color-contrast" in wrong
        assert f"{size}, light: color-contrast" not in wrong
    assert "390 px: wider than the window" in wrong
    assert "1280 px: wider than the window" not in wrong


def judge(page: Page, name: str) -> list[str]:
    """Return what is wrong with a page, at both sizes and in both colour schemes."""
    wrong = []
    page.evaluate(AXE)
    for size in (LAPTOP, PHONE):
        width = size["width"]
        page.set_viewport_size(size)
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            wrong += [f"{width} px, {scheme}: {found}" for found in page.evaluate(RUN_AXE, TAGS)]
            if PICTURES:
                page.screenshot(path=f"{PICTURES}/{name}-{width}-{scheme}.png", full_page=True)
        if page.evaluate("document.scrollingElement.scrollWidth") > width:
            wrong.append(f"{width} px: wider than the window: {page.evaluate(TOO_WIDE)[:3]}")
    return wrong
