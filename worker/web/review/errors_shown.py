"""Turns an error into a page, or a JSON problem under /api/, that says what went wrong and what was not done."""

import re
from http import HTTPStatus

import redis
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from worker.errors import (
    BackfillError,
    InvalidEvent,
    LedgerError,
    LedgerMismatch,
    LetterClosed,
    NeedsLoginKeys,
    NightlyError,
    OutOfDate,
    UnknownBackfill,
    UnknownGroup,
    UnknownJob,
    UnknownLetter,
    UnknownLogin,
    Unreadable,
)
from worker.redis_client.error_messages import is_wrong_type, refusal_before_a_change
from worker.telemetry.logs import get_logger
from worker.web.review.forgery import SAFE_METHODS
from worker.web.review.forms import FormRefused
from worker.web.review.redirects import safe_path
from worker.web.review.rendering import render

log = get_logger(__name__)
API = "/api/"
_SUBJECT = re.compile(r"/(letters|bulk)/[\w-]+(?=/)")
_WORD = re.compile(r"[a-z]+ ")
_STATUS = (
    (UnknownLetter, HTTPStatus.NOT_FOUND),
    (UnknownLogin, HTTPStatus.NOT_FOUND),
    (UnknownGroup, HTTPStatus.NOT_FOUND),
    (UnknownBackfill, HTTPStatus.NOT_FOUND),
    (UnknownJob, HTTPStatus.NOT_FOUND),
    (LetterClosed, HTTPStatus.CONFLICT),
    (OutOfDate, HTTPStatus.CONFLICT),
    (NeedsLoginKeys, HTTPStatus.SERVICE_UNAVAILABLE),
    (BackfillError, HTTPStatus.CONFLICT),
    (Unreadable, HTTPStatus.CONFLICT),
    (InvalidEvent, HTTPStatus.BAD_REQUEST),
    (LedgerError, HTTPStatus.SERVICE_UNAVAILABLE),
    (NightlyError, HTTPStatus.BAD_REQUEST),
)
"""The first class that an error belongs to decides."""
_TITLES = {
    HTTPStatus.BAD_REQUEST: "This was not done",
    HTTPStatus.UNAUTHORIZED: "Please sign in",
    HTTPStatus.FORBIDDEN: "You may not do this",
    HTTPStatus.NOT_FOUND: "Not found",
    HTTPStatus.CONFLICT: "This was not done",
    HTTPStatus.SERVICE_UNAVAILABLE: "Not available",
    HTTPStatus.INTERNAL_SERVER_ERROR: "This went wrong",
}
WRONG_TYPE = (
    "Unreadable: a key in Redis has another type than Nightly gives it, so somebody changed it by hand; "
    "docs/operating.md says what to do."
)
REDIS_AWAY = "Redis does not answer. Try again in a moment; `nightly doctor` on the server says more."
_NOT_DONE = " Nothing was done."
_MAY_BE_DONE = " Whether the action was done is not known: look before you repeat it."


def is_api(request: Request) -> bool:
    """Return whether the client expects JSON."""
    return request.url.path.startswith(API)


def problem(request: Request, status: HTTPStatus, text: str, *, headers: dict[str, str] | None = None) -> Response:
    """Return an error as a page or as JSON."""
    if is_api(request):
        document = {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": text}
        response: Response = JSONResponse(document, status.value, media_type="application/problem+json")
    else:
        is_unreadable = status == HTTPStatus.CONFLICT and request.method in SAFE_METHODS
        title = "Unreadable" if is_unreadable else _TITLES.get(status, status.phrase)
        response = render(request, "error.html", status.value, title=title, text=_sentence(text), **_way_back(request))
    response.headers.update(headers or {})
    return response


def _way_back(request: Request) -> dict[str, str]:
    """Return the address of what the person acted on, or of the page with the form."""
    if request.method in SAFE_METHODS:
        return {"back_href": "", "back_text": ""}
    subject = _SUBJECT.match(request.url.path)
    if subject:
        return {"back_href": subject[0], "back_text": "Look at it again"}
    return {"back_href": safe_path(request.state.form.get("next", ""), ""), "back_text": "Back"}


def _sentence(text: str) -> str:
    """Return the text of an error as a sentence; an id or a command at its start stays as it is written."""
    start = text[:1].upper() if _WORD.match(text) else text[:1]
    return f"{start}{text[1:].rstrip('.')}."


def problem_of(request: Request, error: Exception) -> Response:
    """Return the response to an error of a handler. An unexpected one is logged, and says nothing about itself."""
    if isinstance(error, FormRefused):
        return problem(request, error.status, str(error), headers={"connection": "close"})
    is_change = request.method not in SAFE_METHODS
    if isinstance(error, NightlyError):
        status = next(status for kind, status in _STATUS if isinstance(error, kind))
        text = _sentence(str(error)) + _NOT_DONE if is_change and isinstance(error, LedgerMismatch) else str(error)
        return problem(request, status, text)
    changed = _MAY_BE_DONE if is_change else ""
    if isinstance(error, redis.RedisError) and is_wrong_type(error):
        return problem(request, HTTPStatus.CONFLICT, WRONG_TYPE + changed)
    if isinstance(error, redis.RedisError):
        refusal = refusal_before_a_change(error)
        text = refusal + (changed and _NOT_DONE) if refusal else REDIS_AWAY + changed
        return problem(request, HTTPStatus.SERVICE_UNAVAILABLE, text, headers={"retry-after": "5"})
    log.error("page_failed", path=request.scope["route"].path, exc_info=error)
    text = "The server failed, and its log says more." + changed
    return problem(request, HTTPStatus.INTERNAL_SERVER_ERROR, text)
