"""Every route times every role: who may, and what a request without the token of its form gets."""

import pytest
from redis import Redis

from tests.review_page import Page, browser, review_parts, signed_in
from worker.web.review.identity import ROLES
from worker.web.review.routes import ROUTES, Row


def ask(page: Page, row: Row, *, csrf: str | None = None) -> int:
    path = row.path.format(id="dl-1", reference="lgn_a", instance="toolbox", name="app.css")
    if row.method == "GET":
        return page.get(path).status_code
    if path.startswith("/api/"):
        return page.request("POST", path, json={}, headers={"x-csrf-token": csrf} if csrf else {}).status_code
    return page.request("POST", path, data={} if csrf is None else {"csrf": csrf}).status_code


@pytest.mark.parametrize("role", ROLES)
def test_a_role_opens_its_own_routes_and_no_other(redis_client: Redis, role: str) -> None:
    page = signed_in(redis_client, role)
    for row in ROUTES:
        if row.role is not None and row.path != "/sign-out":
            refused = ROLES.index(row.role) > ROLES.index(role)
            status = ask(page, row, csrf=page.csrf)
            assert (status == 403) is refused, row
            assert status < 500, row


def test_without_a_session_every_route_but_the_public_ones_asks_to_sign_in(redis_client: Redis) -> None:
    page = browser(review_parts(redis_client))
    for row in ROUTES:
        if row.role is not None:
            assert ask(page, row) == (303 if row.method == "GET" and not row.path.startswith("/api/") else 401), row


def test_no_form_is_accepted_without_its_token(redis_client: Redis) -> None:
    page = signed_in(redis_client, "admin")
    for row in ROUTES:
        if row.method == "POST":
            assert ask(page, row) == 403, row
            assert ask(page, row, csrf="0" * 64) == 403, row
