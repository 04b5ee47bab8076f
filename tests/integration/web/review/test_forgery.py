"""What another site can make a browser send, and the link that signs in once."""

import pytest
from redis import Redis

from tests.review_page import NAMES, PASSWORD, Page, browser, review_parts, signed_in
from worker.web.review.cookies import SESSION
from worker.web.review.parts import Parts
from worker.web.review.ways_in import build_access


@pytest.fixture
def parts(redis_client: Redis) -> Parts:
    return review_parts(redis_client)


def is_in(page: Page) -> bool:
    return page.get("/operations").status_code == 200


class TestForgery:
    """Requests that another site makes the browser of a signed-in person send."""

    @pytest.mark.parametrize(
        "headers",
        [
            {"sec-fetch-site": "cross-site"},
            {"sec-fetch-site": "same-site"},
            {"origin": "https://evil.test"},
            {"origin": "null"},
            {"origin": "https://review.test.evil.test"},
            {"origin": "https://[bad"},
        ],
        ids=str,
    )
    def test_a_form_from_elsewhere_is_refused_even_with_its_token(
        self, redis_client: Redis, headers: dict[str, str]
    ) -> None:
        page = signed_in(redis_client)
        data = {"csrf": page.csrf}
        assert page.request("POST", "/sign-out", data=data, headers=headers).status_code == 403
        assert is_in(page)
        own = {"origin": "https://review.test", "sec-fetch-site": "same-origin"}
        assert page.request("POST", "/sign-out", data=data, headers=own).status_code == 303

    def test_the_token_of_another_session_is_refused(self, redis_client: Redis) -> None:
        page, other = signed_in(redis_client), signed_in(redis_client)
        assert page.csrf != other.csrf
        page.csrf = other.csrf
        assert page.send("/sign-out").status_code == 403

    def test_nobody_can_be_signed_in_from_another_site(self, parts: Parts) -> None:
        victim, attacker = browser(parts), browser(parts)
        attacker.get("/sign-in")
        victim.csrf = attacker.csrf
        refused = victim.send("/sign-in", name="oscar", password=PASSWORD)
        assert refused.status_code == 403
        assert "sent no cookie" in refused.text
        victim.get("/sign-in")
        victim.csrf = attacker.csrf
        assert victim.send("/sign-in", name="oscar", password=PASSWORD).status_code == 403
        assert SESSION not in victim.cookies


class TestLink:
    """The link that signs in once."""

    @pytest.fixture
    def token(self, parts: Parts) -> str:
        build_access(parts.client, parts.settings).sessions.keep_link("secret-token", "ada", valid_ms=60_000)
        return "secret-token"

    def test_it_signs_in_once(self, parts: Parts, token: str) -> None:
        page, other = browser(parts), browser(parts)
        response = page.get(f"/sign-in/once?token={token}")
        assert (response.status_code, response.headers["location"]) == (303, "/")
        assert f"{NAMES['admin']}" in page.get("/operations").text
        assert other.get(f"/sign-in/once?token={token}").status_code == 401
        assert not is_in(other)

    def test_previews_and_other_sites_do_not_use_it_up(self, parts: Parts, token: str) -> None:
        page = browser(parts)
        path = f"/sign-in/once?token={token}"
        assert page.request("HEAD", path).status_code == 403
        assert page.get(path, headers={"sec-fetch-site": "cross-site"}).status_code == 403
        preview = {"sec-fetch-site": "none", "sec-purpose": "prefetch;prerender"}
        assert page.get(path, headers=preview).status_code == 403
        assert page.get(path, headers={"sec-fetch-site": "none"}).status_code == 303

    def test_it_ends(self, parts: Parts, redis_client: Redis, token: str) -> None:
        [key] = redis_client.keys("nightly:sign-in-link:*")
        assert 0 < redis_client.pttl(key) <= 60_000
        assert token not in key.decode()
        redis_client.delete(key)
        assert browser(parts).get(f"/sign-in/once?token={token}").status_code == 401

    def test_it_signs_in_nobody_who_is_not_in_review_users(self, parts: Parts) -> None:
        build_access(parts.client, parts.settings).sessions.keep_link("t", "nobody", valid_ms=60_000)
        assert browser(parts).get("/sign-in/once?token=t").status_code == 401
