"""The review page in this process, without a socket: a browser that has signed in, and the values of forms."""

import asyncio
import re
from collections.abc import Sequence
from typing import Any

import httpx
from redis import Redis
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from worker.config.settings import Settings
from worker.vault.vault import Vault
from worker.web.review.access import Access
from worker.web.review.app import create_app
from worker.web.review.cookies import SESSION
from worker.web.review.identity import ROLES, Person
from worker.web.review.parts import Parts, build_parts
from worker.web.review.passwords import hash_password
from worker.web.review.users import User
from worker.web.review.ways_in import build_access

PASSWORD = "correct horse"
HASH = hash_password(PASSWORD, log2_n=10)
NAMES = {"viewer": "vera", "operator": "oscar", "admin": "ada"}
REVIEW_USERS = ",".join(f"{NAMES[role]}:{role}:{HASH}" for role in ROLES)
BASE_URL = "https://review.test"  # `__Host-` cookies are for HTTPS
_CSRF = re.compile(r'name="csrf" value="([0-9a-f]{64})"')


class Page:
    """A browser without JavaScript: it keeps cookies, and sends the token of the last page with each form."""

    def __init__(self, app: ASGIApp) -> None:
        transport = httpx.ASGITransport(app)
        self._client = httpx.AsyncClient(transport=transport, base_url=BASE_URL, trust_env=False)
        self.cookies = self._client.cookies
        self.csrf = ""

    def request(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        """Send one request, and remember the token of a form in the response."""
        response = asyncio.run(self._client.request(method, path, **kwargs))
        if found := _CSRF.search(response.text):
            self.csrf = found[1]
        return response

    def get(self, path: str, **kwargs: Any) -> httpx.Response:
        """Open a page."""
        return self.request("GET", path, **kwargs)

    def send(self, path: str, **fields: str | Sequence[str]) -> httpx.Response:
        """Send a form with these fields."""
        return self.request("POST", path, data={"csrf": self.csrf, **fields})

    def send_and_follow(self, path: str, **fields: str | Sequence[str]) -> httpx.Response:
        """Send a form, and open the page to which it leads, with the message about what was done."""
        response = self.send(path, **fields)
        return self.get(response.headers["location"]) if response.has_redirect_location else response


def review_settings(**settings: Any) -> Settings:
    return Settings(**{"review_users": REVIEW_USERS, **settings})


def review_parts(redis_client: Redis, *, vault: Vault | None = None, **settings: Any) -> Parts:
    return build_parts(redis_client, review_settings(**settings), vault=vault)


def browser(parts: Parts, *, access: Access | None = None, beside: Sequence[BaseRoute] = ()) -> Page:
    """Return a browser that has not signed in."""
    return Page(create_app(parts, access=access, beside=beside))


def signed_in(
    redis_client: Redis, role: str = "operator", *, vault: Vault | None = None, parts: Parts | None = None
) -> Page:
    """Return a browser of a person with this role. The page has no LOGIN_KEYS without a `vault`."""
    parts = parts or review_parts(redis_client, vault=vault)
    access = build_access(parts.client, parts.settings)
    page = browser(parts, access=access)
    sign_in_as(page, access, role)
    return page


def sign_in_as(page: Page, access: Access, role: str) -> None:
    """Give the browser a session without a password check."""
    name = NAMES[role]
    session_id = access.open_session(Person(name, role), User(name, role, HASH).entry)
    page.cookies.set(SESSION, access.signing.sign(SESSION, session_id))
    page.get("/bulk")
