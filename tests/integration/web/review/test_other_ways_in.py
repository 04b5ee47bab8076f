"""People whom a proxy names, and programs with a token."""

from dataclasses import replace

import pytest
from redis import Redis
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.review_page import Page, browser, review_parts
from worker.errors import SettingsError
from worker.telemetry import rare_line
from worker.web.review.app import create_app
from worker.web.review.parts import Parts
from worker.web.review.routes import ROUTES, Row
from worker.web.review.tokens import entry_for, new_token
from worker.web.review.ways_in import build_access

TOKEN = new_token()
ANN = {"x-user": "ann", "x-groups": "ops"}


def who(request: Request) -> Response:
    user = request.state.user
    return JSONResponse({"name": user.name, "role": user.role, "via": user.via, "address": user.address})


def echo(request: Request) -> Response:
    return Response(request.state.body)


API = (
    Row("GET", "/api/v1/who", "viewer", who),
    Row("POST", "/api/v1/act", "operator", who),
    Row("POST", "/api/v1/echo", "operator", echo),
)


def behind_a_proxy(redis_client: Redis, addresses: str = "127.0.0.1") -> Parts:
    """httpx' transport into this process has the peer 127.0.0.1."""
    return review_parts(
        redis_client,
        review_proxy_addresses=addresses,
        review_proxy_user_header="x-user",
        review_proxy_roles_header="x-groups",
        review_roles={"ops": "operator"},
    )


def api(parts: Parts) -> Page:
    return Page(create_app(parts, rows=[*ROUTES, *API]))


def with_token(redis_client: Redis, role: str) -> Page:
    return api(review_parts(redis_client, review_tokens=entry_for("ci", role, TOKEN)))


BEARER = {"authorization": f"Bearer {TOKEN}"}


def test_a_person_whom_the_proxy_names_reads_and_acts_without_signing_in(redis_client: Redis) -> None:
    page = browser(behind_a_proxy(redis_client))
    shown = page.get("/bulk", headers=ANN)
    assert shown.status_code == 200
    assert "ann" in shown.text
    forged = page.request("POST", "/letters/dl-1/replay", data={"csrf": "0" * 64}, headers=ANN)
    assert forged.status_code == 403
    acted = page.request("POST", "/letters/dl-1/replay", data={"csrf": page.csrf}, headers=ANN)
    assert acted.status_code not in {401, 403}
    assert page.request("POST", "/letters/dl-1/reveal", data={"csrf": page.csrf}, headers=ANN).status_code == 403


def test_a_person_of_the_proxy_without_a_role_is_told_so(redis_client: Redis) -> None:
    refused = browser(behind_a_proxy(redis_client)).get("/", headers={"x-user": "ann", "x-groups": "none"})
    assert refused.status_code == 403
    assert "ann has none" in refused.text


def test_nobody_behind_the_proxy_gets_the_name_of_a_user_with_a_password(redis_client: Redis) -> None:
    refused = browser(behind_a_proxy(redis_client)).get("/", headers={"x-user": "oscar", "x-groups": "ops"})
    assert refused.status_code == 403


def test_headers_of_another_peer_are_ignored_and_logged(redis_client: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr(rare_line._log, "warning", lambda event, **_: lines.append(event), raising=False)
    page = browser(behind_a_proxy(redis_client, "10.0.0.5"))
    for _ in range(5):
        assert page.get("/bulk", headers=ANN).status_code == 303
    assert lines == ["proxy_headers_ignored"]


def test_a_token_opens_the_api_and_nothing_else(redis_client: Redis) -> None:
    page = with_token(redis_client, "operator")
    assert page.get("/api/v1/who", headers=BEARER).json() == {
        "name": "ci", "role": "operator", "via": "api", "address": "127.0.0.1",
    }  # fmt: skip
    assert page.request("POST", "/api/v1/act", headers=BEARER).status_code == 200  # no browser adds the header
    assert page.get("/bulk", headers=BEARER).status_code == 303


def test_the_api_reads_a_body_of_any_kind_up_to_the_limit(redis_client: Redis) -> None:
    page = with_token(redis_client, "operator")
    headers = {**BEARER, "content-type": "application/json"}
    assert page.request("POST", "/api/v1/echo", content=b'{"a": 1}', headers=headers).content == b'{"a": 1}'
    large = page.request("POST", "/api/v1/echo", content=b"x" * 5_000_000, headers=headers)
    assert large.status_code == 413
    assert large.headers["content-type"] == "application/problem+json"


def test_a_token_has_its_role(redis_client: Redis) -> None:
    assert with_token(redis_client, "viewer").request("POST", "/api/v1/act", headers=BEARER).status_code == 403


def test_a_wrong_token_is_refused(redis_client: Redis) -> None:
    wrong = api(review_parts(redis_client)).get("/api/v1/who", headers=BEARER)
    assert wrong.status_code == 401
    assert wrong.headers["content-type"] == "application/problem+json"
    assert wrong.headers["www-authenticate"].startswith("Bearer")


def test_the_api_takes_a_session_with_the_token_of_its_forms(redis_client: Redis) -> None:
    parts = review_parts(redis_client)
    access = build_access(parts.client, parts.settings)
    page = Page(create_app(parts, rows=[*ROUTES, *API], access=access))
    page.get("/sign-in")
    page.send("/sign-in", name="oscar", password="correct horse")
    page.get("/bulk")
    assert page.get("/api/v1/who").json()["name"] == "oscar"
    assert page.request("POST", "/api/v1/act").status_code == 403
    assert page.request("POST", "/api/v1/act", headers={"x-csrf-token": page.csrf}).status_code == 200
    assert page.get("/api/v1/who", headers=BEARER).status_code == 401  # a wrong token beside the session


def test_without_passwords_the_page_to_sign_in_says_what_to_do(redis_client: Redis) -> None:
    proxy = behind_a_proxy(redis_client, "10.0.0.5")
    by_proxy = browser(replace(proxy, settings=proxy.settings.model_copy(update={"review_users": None})))
    by_token = browser(review_parts(redis_client, review_users=None, review_tokens=entry_for("ci", "viewer", TOKEN)))
    assert "through your company&#39;s proxy" in by_proxy.get("/sign-in").text
    assert "Only programs can use Nightly here" in by_token.get("/sign-in").text
    assert 'type="password"' not in by_token.get("/sign-in").text


def test_without_any_way_in_every_page_says_that_it_is_closed(redis_client: Redis) -> None:
    parts = review_parts(redis_client, review_users=None)
    page = browser(parts)
    for path in ("/", "/letters", "/sign-in"):
        closed = page.get(path)
        assert closed.status_code == 401
        assert "Nobody can sign in here yet" in closed.text


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"review_proxy_user_header": "x-user"}, "REVIEW_PROXY_USER_HEADER: needs REVIEW_PROXY_ADDRESSES too"),
        ({"review_oidc_issuer": "https://id.test"}, "REVIEW_OIDC_ISSUER: needs REVIEW_OIDC_CLIENT_ID too"),
        ({"review_oidc_client_id": "nightly"}, "REVIEW_OIDC_CLIENT_ID: needs REVIEW_OIDC_ISSUER too"),
        ({"review_tokens": "canary"}, "REVIEW_TOKENS (entry 1): must be name:role:hash"),
    ],
)
def test_settings_that_do_not_fit_stop_the_start(redis_client: Redis, settings: dict[str, str], line: str) -> None:
    parts = review_parts(redis_client, **settings)
    with pytest.raises(SettingsError) as caught:
        build_access(parts.client, parts.settings)
    assert any(found.startswith(line) for found in caught.value.lines)
    assert "canary" not in str(caught.value)
