"""Opens pages in a browser, and fails the test on an error that a person would only see in the developer's console."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Page, Response, StorageState

from tests.browser.site import PASSWORD, Site

WAIT_MS = 15_000
REPORT_POLICY = """document.addEventListener('securitypolicyviolation', (event) =>
    console.error('policy: ' + event.violatedDirective + ' ' + event.blockedURI))"""


@contextmanager
def watched_page(browser: Browser, site: Site, **options: Any) -> Iterator[Page]:
    """Open an empty page with cookies of its own; `options` are those of a Playwright context.

    At the end it fails on console errors, uncaught exceptions, violations of the content security policy and 5xx.
    """
    wrong: list[str] = []

    def judge_message(message: ConsoleMessage) -> None:
        if message.type == "error" and "Failed to load resource" not in message.text:  # judged by its status
            wrong.append(f"console: {message.text}")

    def judge_response(response: Response) -> None:
        if response.status >= 500:
            wrong.append(f"{response.status}: {response.url}")

    with browser.new_context(base_url=site.url, **options) as context:
        context.set_default_timeout(WAIT_MS)
        context.add_init_script(REPORT_POLICY)
        page = context.new_page()
        page.on("console", judge_message)
        page.on("pageerror", lambda error: wrong.append(f"uncaught: {error}"))
        page.on("response", judge_response)
        try:
            yield page
        except Exception as error:
            error.add_note(f"The browser was at {page.url}:\n{page.inner_text('body')}")
            raise
    assert not wrong


def cookies_of(browser: Browser, site: Site, name: str) -> StorageState:
    """Return the cookies of a user who has signed in; the first call signs in."""
    if name not in site.cookies:
        with watched_page(browser, site) as page:
            sign_in(page, name)
            site.cookies[name] = page.context.storage_state()
    return site.cookies[name]


def sign_in(page: Page, name: str) -> None:
    """Sign in on the sign-in page, as a person does."""
    sign_in_with(page, name, PASSWORD)
    page.wait_for_url("/")


def sign_in_with(page: Page, name: str, password: str) -> None:
    """Send the sign-in form."""
    page.goto("/")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
