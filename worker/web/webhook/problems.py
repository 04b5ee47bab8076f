"""Writes the response to a refused request: a problem document (RFC 9457) without any value that was sent."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from starlette.responses import JSONResponse

from worker.errors import InvalidEvent

PROBLEM = "application/problem+json"


@dataclass(eq=False)
class Refused(Exception):
    """A request is not accepted: `code` is for programs, `detail` for people; neither has a value that was sent."""

    status: HTTPStatus
    code: str
    detail: str
    errors: list[Mapping[str, Any]] = field(default_factory=list)
    retry_after_seconds: float = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""
    """Logged instead of `detail`, if the sender should not see it."""

    def response(self) -> JSONResponse:
        """Return the HTTP response."""
        document: dict[str, Any] = {
            "type": "about:blank",
            "title": self.status.phrase,
            "status": self.status.value,
            "code": self.code,
            "detail": self.detail,
        }
        if self.errors:
            document["errors"] = self.errors
        headers = dict(self.headers)
        if self.retry_after_seconds:
            headers["retry-after"] = str(math.ceil(self.retry_after_seconds))
        return JSONResponse(document, status_code=self.status, headers=headers, media_type=PROBLEM)


def unreadable(error: InvalidEvent) -> Refused:
    """Return the refusal of a request whose events cannot be extracted."""
    return Refused(HTTPStatus.BAD_REQUEST, error.code, error.reason, [_error(None, error)])


def refused_events(errors: Mapping[int, InvalidEvent], *, of: int) -> Refused:
    """Return the refusal of a request with `of` events; `errors` has the problem of each wrong one by its position."""
    first = min(errors)
    detail = f"event {first}: {errors[first].reason}"
    if of > 1:
        detail = f"{len(errors)} of {of} events cannot be accepted, so none was; {detail}"
    codes = {error.code for error in errors.values()}
    code = codes.pop() if len(codes) == 1 else "invalid_event"
    documents = [_error(position, error) for position, error in sorted(errors.items())]
    return Refused(HTTPStatus.UNPROCESSABLE_ENTITY, code, detail, documents)


def _error(position: int | None, error: InvalidEvent) -> Mapping[str, Any]:
    """Split a reason into its fields; a part such as "and 3 more" names no field and is left out."""
    parts = [part.partition(": ") for part in error.reason.split("; ")]
    fields = [{"field": name, "reason": rule} for name, colon, rule in parts if colon]
    return ({} if position is None else {"index": position}) | {"code": error.code, "fields": fields}
