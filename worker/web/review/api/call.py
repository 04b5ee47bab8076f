"""One call of the API: what a handler is given, and how its body is read and its result written."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from worker.errors import NightlyError
from worker.ledger.audit import Actor
from worker.operations.json_form import Document
from worker.web.review.downloads import in_parts
from worker.web.review.parts import Parts
from worker.web.review.requests import actor_of, parts_of, sees_addresses

Result = Document | list[Any] | Iterator[bytes]
"""One object, a list of objects, or lines of JSON that are sent as they are made."""
_MEDIA_TYPE = "application/json"


class BadRequest(NightlyError):
    """The query or the body is not as the OpenAPI document says. The message names fields, never their values."""


@dataclass(frozen=True)
class Call:
    """What a handler works with."""

    parts: Parts
    by: Actor
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Any
    """An object of the route's model; None where the route takes no body."""
    sees_addresses: bool
    """Whether the person may see from where colleagues acted."""

    def number(self, name: str, default: int, *, at_most: int) -> int:
        """Return a whole number of the query; raises BadRequest."""
        text = self.query.get(name, str(default))
        if not (text.isascii() and text.isdecimal() and len(text) <= len(str(at_most)) and int(text) <= at_most):
            raise BadRequest(f"{name} is not a whole number from 0 to {at_most:,}. Nothing was done.")
        return int(text)


def handler_of(act: Callable[[Call], Result], body: type[BaseModel] | None) -> Callable[[Request], Response]:
    """Return the handler of a route."""

    def handle(request: Request) -> Response:
        given = _read(request, body) if body else None
        about = actor_of(request), request.path_params, request.query_params, given, sees_addresses(request)
        return _response(act(Call(parts_of(request), *about)))

    return handle


def milliseconds(moment: datetime | None) -> int | None:
    """Return a time of a body in milliseconds since 1970."""
    return None if moment is None else round(moment.timestamp() * 1000)


def _read(request: Request, model: type[BaseModel]) -> BaseModel:
    raw: bytes = request.state.body
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if raw and media_type != _MEDIA_TYPE:
        raise BadRequest(f"The content type of the body must be {_MEDIA_TYPE}. Nothing was done.")
    try:
        return model.model_validate_json(raw or b"{}")
    except ValidationError as error:
        problems = "; ".join(_problems(error))
        raise BadRequest(f"The body is not valid: {problems}. Nothing was done.") from None


def _problems(error: ValidationError) -> Iterator[str]:
    """Yield `field: rule`. The name of a field that no model has may be a secret in the wrong place."""
    for each in error.errors(include_input=False, include_context=False, include_url=False):
        if each["type"] == "extra_forbidden":
            yield "it has a field that the OpenAPI document does not name"
        else:
            place = ".".join(map(str, each["loc"]))
            yield f"{place}: {each['msg']}" if place else str(each["msg"])


def _response(result: Result) -> Response:
    if isinstance(result, Document):
        return JSONResponse(result.model_dump(mode="json"))
    if isinstance(result, list):
        return JSONResponse([item.model_dump(mode="json") for item in result])
    return StreamingResponse(in_parts(result), media_type="application/x-ndjson")


def json_line(text: str) -> bytes:
    """Return one line of JSON lines; a text that is not JSON becomes a JSON string."""
    try:
        json.loads(text)
    except ValueError:
        text = json.dumps(text)
    return f"{text}\n".encode()
