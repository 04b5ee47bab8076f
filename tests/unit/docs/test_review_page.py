"""docs/review-page.md shows every page of the review page, and the browser tests judge every one."""

import re

from tests.browser.scenes import SCENES
from tests.places import ROOT
from worker.web.review.routes import ROUTES

NO_PAGES = re.compile(r"/api/|/health|/static/|/sign-in/|/audit/export|.*\.csv")
"""Routes that answer with a file, a redirect or one word."""


def test_every_page_is_judged_by_the_browser_tests() -> None:
    pages = {row.path for row in ROUTES if row.method == "GET" and not NO_PAGES.match(row.path)}
    assert {scene.route for scene in SCENES} == pages


def test_every_page_is_shown_on_a_laptop_and_every_picture_is_used() -> None:
    shown = set(re.findall(r"\(images/review/([\w-]+)\.png\)", (ROOT / "docs" / "review-page.md").read_text()))
    assert {f"{scene.name}-1280-light" for scene in SCENES} <= shown
    assert {path.stem for path in (ROOT / "docs" / "images" / "review").glob("*.png")} == shown
