"""What every response has, and what the page answers to bodies and values that no browser sends."""

import logging
from typing import Any

import pytest
import redis
from redis import Redis
from starlette.requests import Request
from starlette.responses import Response

from tests.review_page import Page, browser, review_parts, signed_in
from worker.errors import LetterClosed, NightlyError, OutOfDate, UnknownLetter
from worker.web.review import forms
from worker.web.review.app import create_app
from worker.web.review.cookies import SESSION
from worker.web.review.flash import flash
from worker.web.review.parts import Parts
from worker.web.review.redirects import back
from worker.web.review.rendering import render
from worker.web.review.routes import Row
from worker.web.review.security_headers import HEADERS
from worker.web.review.static_files import static_files, static_url
from worker.web.review.ways_in import build_access

NASTY = '<script>alert("x")</script>\x1b\u202e'
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture
def parts(redis_client: Redis) -> Parts:
    return review_parts(redis_client)


def page_of(parts: Parts, *rows: Row) -> Page:
    return Page(create_app(parts, rows=rows))


def test_every_response_forbids_scripts_of_others_frames_and_caches(parts: Parts) -> None:
    page = browser(parts)
    for method, path in (("GET", "/"), ("GET", "/sign-in"), ("GET", "/nothing"), ("PUT", "/"), ("GET", "/health")):
        headers = page.request(method, path).headers
        for name, value in HEADERS.items():
            assert headers[name] == value, (path, name)
        assert headers.get_list("cache-control") == ["no-store"]


def test_a_path_with_a_slash_too_many_leads_nowhere(parts: Parts) -> None:
    """Starlette would redirect to the host of the `Host` header, in plain HTTP if a proxy ends the TLS."""
    for method, path in (
        ("GET", "/letters/"),
        ("POST", "/letters/search/"),
        ("GET", "/sign-in/"),
    ):
        response = browser(parts).request(method, path, headers={"host": "evil.test"})
        assert (response.status_code, response.headers.get("location")) == (404, None), path


def test_no_template_has_an_inline_script_or_style() -> None:
    from importlib.resources import files  # noqa: PLC0415

    for template in files("worker.web.review").joinpath("templates").iterdir():
        text = template.read_text("utf-8").lower()
        assert " style=" not in text, template.name
        assert "<style" not in text, template.name
        assert "<script>" not in text, template.name
        assert " onclick=" not in text, template.name


def test_static_files_are_kept_by_browsers_until_they_change(parts: Parts) -> None:
    page = browser(parts)
    for name, file in static_files().items():
        exact, other = page.get(static_url(name)), page.get(f"/static/{name}")
        assert exact.content == file.content
        assert exact.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert other.headers["cache-control"] == "no-cache"
        assert exact.headers["content-type"] == file.media_type
    for name in ("README.md", "nothing.css", "..%2Fapp.py", "%00"):
        assert page.get(f"/static/{name}").status_code == 404


@pytest.mark.parametrize("path", ["/sign-in", "/sign-out"])
def test_a_body_of_ten_megabytes_is_refused(redis_client: Redis, path: str) -> None:
    page = signed_in(redis_client) if path == "/sign-out" else browser(review_parts(redis_client))
    page.get("/sign-in")
    response = page.request("POST", path, content=b"a=" + b"x" * 10_000_000, headers=FORM)
    assert response.status_code == 413
    assert response.headers["connection"] == "close"


def test_a_body_of_a_stranger_is_not_read(parts: Parts) -> None:
    read = 0

    async def body() -> Any:
        nonlocal read
        for _ in range(100):
            read += 1
            yield b"x" * 1000

    page = browser(parts)
    assert page.request("POST", "/letters/dl-1/replay", content=body(), headers=FORM).status_code == 401
    assert read == 0


@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [
        (b"csrf=%ff", "application/x-www-form-urlencoded", 400),
        (b"csrf=\xff", "application/x-www-form-urlencoded", 400),
        (b"a&" * 120_000, "application/x-www-form-urlencoded", 400),
        (b'{"csrf": 1}', "application/json", 415),
        (b"--x\r\n", "multipart/form-data; boundary=x", 415),
        (b"", "text/plain", 403),
    ],
    ids=["not UTF-8, encoded", "not ASCII", "many fields", "JSON", "multipart", "empty"],
)
def test_a_body_that_is_no_form_is_refused(redis_client: Redis, body: bytes, media_type: str, status: int) -> None:
    page = signed_in(redis_client)
    refused = page.request("POST", "/sign-out", content=body, headers={"content-type": media_type})
    assert refused.status_code == status
    assert page.get("/operations").status_code == 200


def test_a_slow_body_ends_at_its_deadline(redis_client: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio  # noqa: PLC0415

    async def body() -> Any:
        yield b"csrf="
        await asyncio.sleep(60)

    monkeypatch.setattr(forms, "BODY_SECONDS", 0.05)
    assert signed_in(redis_client).request("POST", "/sign-out", content=body(), headers=FORM).status_code == 408


ERRORS = {
    UnknownLetter("there is no dead letter 'dl-1'"): 404,
    LetterClosed("dead letter dl-1 is already closed"): 409,
    OutOfDate("Bob resolved it meanwhile. Nothing was done."): 409,
    NightlyError("the field Note is missing"): 400,
    redis.ConnectionError("refused by canary-host"): 503,
    ZeroDivisionError("canary-secret"): 500,
}


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_says_what_went_wrong_and_shows_nothing_internal(
    parts: Parts, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: Request) -> Response:
        raise error

    page = page_of(parts, Row("GET", "/fail", None, fail), Row("GET", "/api/v1/fail", None, fail))
    with caplog.at_level(logging.CRITICAL):
        shown, document = page.get("/fail"), page.get("/api/v1/fail")
    assert shown.status_code == document.status_code == ERRORS[error]
    assert document.headers["content-type"] == "application/problem+json"
    assert "canary" not in shown.text + document.text
    if isinstance(error, NightlyError):
        assert document.json()["detail"] == str(error)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("the field Note is missing", "The field Note is missing."),
        ("dl-1 is closed already.", "dl-1 is closed already."),
    ],
)
def test_an_error_is_a_sentence_on_the_page_and_an_id_at_its_start_stays_as_it_is(
    parts: Parts, text: str, shown: str
) -> None:
    def fail(_: Request) -> Response:
        raise NightlyError(text)

    assert f"<p>{shown}</p>" in page_of(parts, Row("GET", "/fail", None, fail)).get("/fail").text


def test_a_message_is_shown_once_and_escaped(parts: Parts) -> None:
    def act(request: Request) -> Response:
        flash(request, NASTY)
        return back(request)

    def show(request: Request) -> Response:
        return render(request, "empty.html", title=NASTY)

    page = page_of(parts, Row("GET", "/act", None, act), Row("GET", "/", None, show))
    assert page.get("/act").status_code == 303
    shown = page.get("/")
    assert shown.text.count("&lt;script&gt;") >= 2
    assert "<script>alert" not in shown.text
    assert not {"\x1b", "\u202e"} & set(shown.text)
    assert 'role="status"' in shown.text
    assert 'role="status"' not in page.get("/").text


def test_a_long_message_fits_into_its_cookie(parts: Parts) -> None:
    def act(request: Request) -> Response:
        for _ in range(20):
            flash(request, "é\u4e00" * 1000)
        return back(request)

    page = page_of(parts, Row("GET", "/act", None, act))
    [cookie] = page.get("/act").headers.get_list("set-cookie")
    assert len(cookie) < 4096


def test_health_needs_no_session_and_says_whether_redis_answers(parts: Parts) -> None:
    assert browser(parts).get("/health").text == "ok\n"
    away = review_parts(Redis.from_url("redis://127.0.0.1:1/0"))
    page = browser(away)
    assert page.get("/health").status_code == 503
    assert page.get("/sign-in").status_code == 200


def test_a_session_needs_redis_and_the_page_says_so() -> None:
    away = review_parts(Redis.from_url("redis://127.0.0.1:1/0"))
    access = build_access(away.client, away.settings)
    page = browser(away, access=access)
    page.cookies.set(SESSION, access.signing.sign(SESSION, "some-session"))
    shown = page.get("/letters")
    assert shown.status_code == 503
    assert "Redis does not answer" in shown.text
    assert shown.headers["retry-after"] == "5"
