"""One stack and one browser for all tests of this folder.

Playwright marks an event loop as running while it is started, so it must not outlive these tests.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.chromium import chromium_or_skip
from tests.browser.site import Site
from tests.browser.watched_pages import WAIT_MS, cookies_of, watched_page

NO_PAGE_MEMORY = "--disable-back-forward-cache"
"""Playwright's default; a person's browser may show a page from memory when they go back."""
expect.set_options(timeout=WAIT_MS)  # as for every other wait

SignedIn = Callable[..., Page]
"""Opens an empty page of a user who has signed in: `signed_in("otto", java_script_enabled=False)`."""
Visitor = Callable[..., AbstractContextManager[Page]]
"""Opens a page of somebody who has not signed in."""


@pytest.fixture(scope="package")
def chromium() -> str:
    return chromium_or_skip()


@pytest.fixture(scope="package")
def site(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    del chromium  # without a browser nothing is started
    with Site(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture(scope="package")
def browser(chromium: str) -> Iterator[Browser]:
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(
            executable_path=chromium, args=["--disable-gpu"], ignore_default_args=[NO_PAGE_MEMORY]
        ) as browser,
    ):
        yield browser


@pytest.fixture
def visitor(browser: Browser, site: Site) -> Visitor:
    def visitor(**options: Any) -> AbstractContextManager[Page]:
        return watched_page(browser, site, **options)

    return visitor


@pytest.fixture
def signed_in(browser: Browser, site: Site) -> Iterator[SignedIn]:
    with ExitStack() as opened:

        def signed_in(name: str, **options: Any) -> Page:
            cookies = cookies_of(browser, site, name)
            return opened.enter_context(watched_page(browser, site, storage_state=cookies, **options))

        yield signed_in
