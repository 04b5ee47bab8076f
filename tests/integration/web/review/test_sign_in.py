"""Signing in and out: sessions, their ends, and whoever tries to get one without a password."""

import re
from collections.abc import Callable

import pytest
from redis import Redis

from tests.review_page import HASH, PASSWORD, Page, browser, review_parts
from worker.ledger.audit import AuditLog
from worker.ledger.sessions import Sessions
from worker.web.review.cookies import SESSION, VISIT
from worker.web.review.parts import Parts
from worker.web.review.ways_in import build_access

MINUTE, HOUR = 60_000, 3_600_000


@pytest.fixture
def parts(redis_client: Redis) -> Parts:
    return review_parts(redis_client)


@pytest.fixture
def page(parts: Parts) -> Page:
    """A browser that shows the sign-in page."""
    page = browser(parts)
    page.get("/sign-in")
    return page


def is_in(page: Page) -> bool:
    return page.get("/operations").status_code == 200


def sign_in(page: Page, name: str = "oscar", password: str = PASSWORD, **fields: str) -> int:
    return page.send("/sign-in", name=name, password=password, **fields).status_code


def test_the_right_password_opens_a_session_with_a_safe_cookie(page: Page, redis_client: Redis) -> None:
    response = page.send("/sign-in", name="oscar", password=PASSWORD, next="/letters?code=INVALID_LOGIN")
    assert (response.status_code, response.headers["location"]) == (303, "/letters?code=INVALID_LOGIN")
    cookie = next(value for value in response.headers.get_list("set-cookie") if value.startswith(f"{SESSION}="))
    assert {part.strip().lower() for part in cookie.split(";")[1:]} == {"httponly", "path=/", "samesite=lax", "secure"}
    assert is_in(page)
    [key] = redis_client.keys("nightly:session:*")
    assert page.cookies[SESSION].partition(".")[0] not in key.decode()  # Redis has only a hash
    [entry] = AuditLog(redis_client).entries()
    assert (entry.action, entry.by, entry.role, entry.via) == ("session.open", "oscar", "operator", "page")


def test_a_wrong_name_and_a_wrong_password_get_the_same_answer(page: Page) -> None:
    wrong_password = page.send("/sign-in", name="oscar", password="guess")
    wrong_name = page.send("/sign-in", name="nobody", password="guess")
    assert wrong_password.status_code == wrong_name.status_code == 401
    without_time = [re.sub(r'data-now="\d+"', "", answer.text) for answer in (wrong_password, wrong_name)]
    assert without_time[0] == without_time[1]
    assert "Name or password is wrong." in wrong_name.text
    assert not is_in(page)


@pytest.mark.parametrize(
    "target", ["//evil.test", "https://evil.test", "/\\evil.test", "\\\\evil.test", "/a\r\nb", "x"]
)
def test_a_sign_in_never_leads_to_another_site(page: Page, target: str) -> None:
    response = page.send("/sign-in", name="oscar", password=PASSWORD, next=target)
    assert response.headers["location"] == "/"


def test_each_sign_in_gets_a_new_session_and_ends_the_one_before(page: Page) -> None:
    sign_in(page)
    first = page.cookies[SESSION]
    page.get("/operations")
    assert sign_in(page, "ada") == 303
    assert page.cookies[SESSION] != first
    page.cookies.set(SESSION, first, domain="review.test")
    assert not is_in(page)


def test_a_session_id_of_an_attacker_is_not_taken_over(page: Page, parts: Parts) -> None:
    chosen = "chosen-by-an-attacker"
    page.cookies.set(SESSION, chosen)
    page.get("/sign-in")
    response = page.send("/sign-in", name="oscar", password=PASSWORD)
    assert response.cookies[SESSION].partition(".")[0] != chosen
    thief = browser(parts)
    thief.cookies.set(SESSION, chosen)
    assert not is_in(thief)


def test_a_session_ends_with_the_sign_out(page: Page, redis_client: Redis) -> None:
    sign_in(page)
    old = page.cookies[SESSION]
    page.get("/operations")
    response = page.send_and_follow("/sign-out")
    assert "You have signed out." in response.text
    assert SESSION not in page.cookies
    page.cookies.set(SESSION, old)
    assert not is_in(page)
    assert redis_client.keys("nightly:session:*") == []


class Clock:
    """Redis' clock, moved by the test."""

    def __init__(self) -> None:
        self.now_ms = 1_700_000_000_000

    def __call__(self) -> int:
        return self.now_ms


def with_clock(parts: Parts) -> tuple[Page, Clock]:
    clock, access = Clock(), build_access(parts.client, parts.settings)
    access.sessions = Sessions(parts.client, idle_ms=30 * MINUTE, longest_ms=12 * HOUR, now_ms=clock)
    page = browser(parts, access=access)
    page.get("/sign-in")
    sign_in(page)
    return page, clock


def test_a_session_ends_after_the_idle_limit(parts: Parts) -> None:
    page, clock = with_clock(parts)
    clock.now_ms += 30 * MINUTE - 1
    assert is_in(page)
    clock.now_ms += 30 * MINUTE
    assert not is_in(page)


def test_a_page_that_renews_itself_does_not_keep_a_session_open(parts: Parts) -> None:
    page, clock = with_clock(parts)
    clock.now_ms += 20 * MINUTE
    assert page.get("/operations", headers={"hx-request": "true"}).status_code == 200
    clock.now_ms += 10 * MINUTE
    refused = page.get("/operations", headers={"hx-request": "true"})
    assert (refused.status_code, refused.headers["hx-redirect"]) == (401, "/sign-in")


def test_a_session_ends_after_the_absolute_limit_however_busy_it_is(parts: Parts) -> None:
    page, clock = with_clock(parts)
    for _ in range(47):
        clock.now_ms += 15 * MINUTE
        assert is_in(page)
    clock.now_ms += 15 * MINUTE
    assert not is_in(page)


def test_redis_forgets_a_session_by_itself(page: Page, redis_client: Redis) -> None:
    sign_in(page)
    [key] = redis_client.keys("nightly:session:*")
    assert 0 < redis_client.pttl(key) <= 30 * MINUTE


@pytest.mark.parametrize(
    "change",
    [
        lambda users: ",".join(entry for entry in users.split(",") if not entry.startswith("oscar")),
        lambda users: users.replace("oscar:operator", "oscar:admin"),
        lambda users: users.replace(f"oscar:operator:{HASH}", f"oscar:operator:{HASH[:-1]}_"),
    ],
    ids=["removed", "another role", "another password"],
)
def test_a_session_ends_when_its_entry_in_review_users_changes(parts: Parts, change: Callable[[str], str]) -> None:
    access = build_access(parts.client, parts.settings)
    page = browser(parts, access=access)
    page.get("/sign-in")
    sign_in(page)
    assert is_in(page)
    users = parts.settings.review_users
    assert users
    changed = parts.settings.model_copy(update={"review_users": type(users)(change(users.get_secret_value()))})
    access.users = build_access(parts.client, changed).users
    assert not is_in(page)


GARBAGE = ["", "x", "a.b", "." * 100, "é", "a" * 5000, "eyJhIjoxfQ.sig", '"', "%00", "=;=", "null"]


@pytest.mark.parametrize("cookie", GARBAGE)
def test_a_garbage_cookie_is_no_session(parts: Parts, cookie: str) -> None:
    page = browser(parts)
    header = "; ".join(f"{name}={cookie}" for name in (SESSION, VISIT, "__Host-nightly-message"))
    response = page.get("/operations", headers={"cookie": header.encode()})
    assert response.status_code == 303
