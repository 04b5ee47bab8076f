"""Single sign-on against a provider over real HTTP: a right one, and every way in which an answer can be wrong."""

import hmac
import json
import sys
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from pydantic import SecretStr
from redis import Redis

from tests.oidc_provider import CLIENT_ID, CLIENT_SECRET, Provider, provider
from tests.review_page import BASE_URL, Page, browser, review_parts
from worker.errors import SettingsError
from worker.ledger.audit import AuditLog
from worker.web.review import single_sign_on
from worker.web.review.cookies import FLOW, SESSION
from worker.web.review.parts import Parts
from worker.web.review.ways_in import build_access


@pytest.fixture(scope="module")
def shared() -> Iterator[Provider]:
    with provider() as found:
        yield found


@pytest.fixture
def idp(shared: Provider) -> Provider:
    fresh = Provider()
    fresh.url, fresh.key = shared.url, shared.key
    fresh.published = [shared.key]
    shared.__dict__.update({**vars(fresh), "sign": shared.signed})
    return shared


@pytest.fixture
def parts(redis_client: Redis, idp: Provider) -> Parts:
    return review_parts(
        redis_client,
        review_url=BASE_URL,
        review_roles={"ops": "operator", "admins": "admin"},
        review_oidc_issuer=idp.url,
        review_oidc_client_id=CLIENT_ID,
        review_oidc_client_secret=SecretStr(CLIENT_SECRET),
    )


@pytest.fixture
def page(parts: Parts) -> Page:
    return browser(parts)


def sign_on(page: Page, idp: Provider, change: Callable[[str], str] = lambda url: url) -> httpx.Response:
    """Go to the provider and back; `change` alters the address to which it sends the browser."""
    sent = page.get("/sign-in/oidc?next=/letters")
    assert sent.status_code == 303
    back = change(idp.authorize(sent.headers["location"]))
    return page.get(back.removeprefix(BASE_URL))


def is_in(page: Page) -> bool:
    return page.get("/bulk").status_code == 200


def test_a_person_signs_in_with_the_highest_role_of_their_groups(page: Page, idp: Provider) -> None:
    assert "/sign-in/oidc" in page.get("/sign-in").text
    done = sign_on(page, idp)
    assert (done.status_code, done.headers["location"]) == (303, "/letters")
    shown = page.get("/bulk").text
    assert ">ann<" in shown
    assert ">operator<" in shown
    assert FLOW not in page.cookies


def test_people_who_gave_themselves_one_name_can_be_told_apart(redis_client: Redis, page: Page, idp: Provider) -> None:
    for subject in ("u-1", "u-2"):
        idp.person["sub"] = subject
        sign_on(page, idp)
    opened = [entry for entry in AuditLog(redis_client).entries() if entry.action == "session.open"]
    assert [(entry.by, entry.detail["subject"]) for entry in opened] == [("ann", "u-2"), ("ann", "u-1")]


def test_the_provider_gets_a_challenge_a_state_and_a_nonce_that_differ_each_time(page: Page) -> None:
    asked = [parse_qs(urlsplit(page.get("/sign-in/oidc").headers["location"]).query) for _ in range(2)]
    for name in ("state", "nonce", "code_challenge"):
        assert len(asked[0][name][0]) >= 43
        assert asked[0][name] != asked[1][name]
    assert asked[0]["code_challenge_method"] == ["S256"]
    assert asked[0]["redirect_uri"] == [f"{BASE_URL}/sign-in/oidc/callback"]


@pytest.mark.parametrize(
    "person",
    [
        {"sub": "u-2", "groups": []},
        {"sub": "u-2", "groups": "staff"},
        {"sub": "u-2"},
        {"sub": "u-2", "groups": {"ops": 1}},
    ],
    ids=["no group", "another group", "no claim", "an odd claim"],
)
def test_a_person_without_a_group_of_ours_does_not_get_in(page: Page, idp: Provider, person: dict[str, Any]) -> None:
    idp.person = person
    refused = sign_on(page, idp)
    assert refused.status_code == 403
    assert "u-2 has no role here" in refused.text
    assert SESSION not in page.cookies


def test_nobody_gets_the_name_of_a_user_with_a_password(page: Page, idp: Provider) -> None:
    idp.person = {"sub": "u-3", "preferred_username": "ada", "groups": ["ops"]}
    assert sign_on(page, idp).status_code == 403


def changed(**fields: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda claims: {name: value for name, value in (claims | fields).items() if value is not None}


WRONG_CLAIMS = {
    "another issuer": changed(iss="https://evil.test"),
    "another audience": changed(aud="other"),
    "made for another client": changed(aud=[CLIENT_ID, "other"], azp="other"),
    "several audiences and no azp": changed(aud=[CLIENT_ID, "other"]),
    "expired": changed(exp=int(time.time()) - 120),
    "from the future": changed(iat=int(time.time()) + 3600),
    "no expiry": changed(exp=None),
    "another nonce": changed(nonce="other"),
    "no nonce": changed(nonce=None),
    "nobody": changed(sub=None),
    "a name with a control character": changed(preferred_username="ann\x1b[31m"),
}


@pytest.mark.parametrize("change", WRONG_CLAIMS.values(), ids=WRONG_CLAIMS)
def test_a_token_with_a_wrong_claim_opens_nothing(
    page: Page, idp: Provider, change: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    idp.change = change
    assert sign_on(page, idp).status_code == 403
    assert SESSION not in page.cookies


def by_hand(head: dict[str, Any], claims: dict[str, Any], key: bytes | None) -> str:
    """Return a token that no library makes: unsigned, or signed with the public key as a password."""
    content = ".".join(urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (head, claims))
    signature = hmac.digest(key, content.encode(), "sha256") if key else b""
    return f"{content}.{urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def test_a_token_that_the_issuer_did_not_sign_opens_nothing(page: Page, idp: Provider) -> None:
    thief = RSAKey.generate_key(2048, {"kid": idp.key.kid})
    public = idp.key.as_pem(private=False)
    forgeries: list[Callable[[dict[str, Any]], str]] = [
        lambda claims: jwt.encode({"alg": "RS256", "kid": idp.key.kid or ""}, claims, thief),
        lambda claims: by_hand({"alg": "none"}, claims, None),
        lambda claims: by_hand({"alg": "HS256", "kid": idp.key.kid}, claims, public),
        lambda _: "no.token.atall",
        lambda claims: idp.signed(claims)[:-6] + "AAAAAA",
    ]
    for forgery in forgeries:
        idp.sign = forgery
        assert sign_on(page, idp).status_code == 403
        assert SESSION not in page.cookies


WRONG_WAYS_BACK = {
    "another state": lambda url: url.replace("state=", "state=x"),
    "no state": lambda url: url.replace("state=", "other="),
    "another code": lambda url: url.replace("code=code-1", "code=code-9"),
    "no code": lambda url: url.replace("code=", "other="),
    "another issuer": lambda url: url.replace("iss=http", "iss=https"),
}


@pytest.mark.parametrize("change", WRONG_WAYS_BACK.values(), ids=WRONG_WAYS_BACK)
def test_an_answer_that_does_not_fit_the_question_opens_nothing(
    page: Page, idp: Provider, change: Callable[[str], str]
) -> None:
    assert sign_on(page, idp, change).status_code == 403
    assert SESSION not in page.cookies


def test_another_browser_cannot_use_the_answer(page: Page, idp: Provider, parts: Parts) -> None:
    back = idp.authorize(page.get("/sign-in/oidc").headers["location"]).removeprefix(BASE_URL)
    victim = browser(parts)
    assert victim.get(back).status_code == 403
    victim.get("/sign-in/oidc")
    assert victim.get(back).status_code == 403
    assert page.get(back).status_code == 303
    assert page.get(back).status_code == 403, "it works once"


def test_an_answer_that_comes_too_late_opens_nothing(
    page: Page, idp: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(single_sign_on, "FLOW_SECONDS", -1)
    assert sign_on(page, idp).status_code == 403


def test_a_new_key_of_the_issuer_is_found(page: Page, idp: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sign_on(page, idp).status_code == 303
    monkeypatch.setattr("worker.web.review.id_tokens.LOOK_AGAIN_SECONDS", 0)
    idp.key = RSAKey.generate_key(2048, {"kid": "k2"})
    idp.published = [idp.key]
    assert sign_on(page, idp).status_code == 303


def test_metadata_of_another_issuer_or_without_tls_is_refused(idp: Provider, parts: Parts) -> None:
    for metadata in ({"issuer": "https://evil.test"}, {"token_endpoint": "http://evil.test/token"}, {"jwks_uri": None}):
        idp.metadata = metadata
        refused = browser(parts).get("/sign-in/oidc")
        assert refused.status_code == 503
        assert "Single sign-on did not work" in refused.text


def test_a_provider_that_is_away_is_said_and_passwords_still_work(redis_client: Redis, parts: Parts) -> None:
    settings = parts.settings.model_copy(update={"review_oidc_issuer": "http://127.0.0.1:1"})
    away = review_parts(redis_client, **settings.model_dump(include={"review_url", "review_roles"}))
    access = build_access(redis_client, settings)
    page = browser(away, access=access)
    assert page.get("/sign-in/oidc").status_code == 503
    assert page.send("/sign-in", name="oscar", password="correct horse").status_code == 303


def test_a_session_ends_when_the_roles_change(page: Page, idp: Provider, parts: Parts) -> None:
    sign_on(page, idp)
    assert is_in(page)
    access = build_access(parts.client, parts.settings.model_copy(update={"review_roles": {"ops": "viewer"}}))
    other = browser(parts, access=access)
    old = build_access(parts.client, parts.settings)
    assert old.oidc
    assert access.oidc
    assert old.oidc.entry != access.oidc.entry
    assert not is_in(other)


def test_without_the_extra_the_start_says_what_to_install(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("authlib", "authlib.integrations.httpx_client"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SettingsError, match=r"pip install nightly-refresh-worker\[oidc\]"):
        build_access(parts.client, parts.settings)
