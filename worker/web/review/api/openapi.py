"""The OpenAPI 3.1 document of the API, made from its table and models."""

import inspect
import re
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from worker.web.review.api.answers import Problem
from worker.web.review.api.bodies import Filter
from worker.web.review.api.table import API_ROWS, PREFIX, ApiRow

_REF = "#/components/schemas/{model}"
_REFUSALS = {
    400: "The request is not valid, or does not fit what it is about; nothing was done",
    401: "No token and no session",
    403: "The role does not suffice, or the request may be forged",
    404: "There is no such letter, login, group, job or backfill",
    408: "The body did not arrive in time",
    409: "What was seen has changed meanwhile, or somebody damaged it in Redis; nothing was done",
    413: "The body is too large",
    503: "Redis does not answer, or this process has no LOGIN_KEYS",
}
_NUMBERS = {"after": None, "size": (1, 500), "start": (0, 10**9), "count": (1, 1000), "before": (0, 10**9)}
_LIMITS = {**_NUMBERS, "limit": (1, 1000), "target": None}
_INFO = """The verbs of the review page, as JSON. Send `Authorization: Bearer TOKEN`, with a token of REVIEW_TOKENS.
A session of the page works too, with its token in `X-CSRF-Token`. `x-role` is the least role that may use a route."""


def serve(_: Request) -> Response:
    """Return the document."""
    return JSONResponse(document())


@cache
def document() -> dict[str, Any]:
    """Return the document."""
    models = sorted({model for row in API_ROWS for model in _models(row)} | {Problem}, key=lambda model: model.__name__)
    pairs, definitions = models_json_schema(
        [(model, "validation" if _is_body(model) else "serialization") for model in models], ref_template=_REF
    )
    names = {model: pairs[key]["$ref"] for key in pairs for model in [key[0]]}
    paths: dict[str, Any] = {}
    for row in API_ROWS:
        paths.setdefault(PREFIX + row.path, {})[row.method.lower()] = _operation(row, names)
    bearer = {"type": "http", "scheme": "bearer"}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Nightly",
            "version": version("nightly-refresh-worker"),
            "description": _INFO.replace("\n", " "),
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {"securitySchemes": {"token": bearer}, "schemas": definitions.get("$defs", {})},
    }


def _models(row: ApiRow) -> Iterator[type[BaseModel]]:
    if row.body:
        yield row.body
    if row.answer is not bytes:
        yield _item_of(row) or row.answer


def _item_of(row: ApiRow) -> Any:
    found = get_args(row.answer)
    return found[0] if found else None


def _is_body(model: type[BaseModel]) -> bool:
    return model.__module__ == Filter.__module__


def _operation(row: ApiRow, names: dict[Any, str]) -> dict[str, Any]:
    summary = inspect.cleandoc(row.act.__doc__ or "")
    found: dict[str, Any] = {
        "operationId": f"{row.method.lower()}{re.sub(r'[^a-z]+', '_', row.path)}".rstrip("_"),
        "summary": summary,
        "x-role": row.role,
        "parameters": [*_path_parameters(row.path), *map(_query_parameter, row.query)],
        "responses": {"200": _success(row, names), **{str(code): _refusal(names, code) for code in _REFUSALS}},
    }
    if row.body:
        found["requestBody"] = {"required": True, "content": {"application/json": _schema(names[row.body])}}
    return found


def _success(row: ApiRow, names: dict[Any, str]) -> dict[str, Any]:
    if row.answer is bytes:
        return {"description": "One JSON object a line", "content": {"application/x-ndjson": {}}}
    item = _item_of(row)
    schema = {"type": "array", "items": {"$ref": names[item]}} if item else {"$ref": names[row.answer]}
    return {"description": "Done", "content": {"application/json": {"schema": schema}}}


def _refusal(names: dict[Any, str], code: int) -> dict[str, Any]:
    return {"description": _REFUSALS[code], "content": {"application/problem+json": _schema(names[Problem])}}


def _schema(ref: str) -> dict[str, Any]:
    return {"schema": {"$ref": ref}}


def _path_parameters(path: str) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"\{(\w+)\}", path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _query_parameter(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    if limits := _LIMITS.get(name):
        schema = {"type": "integer", "minimum": limits[0], "maximum": limits[1]}
    return {"name": name, "in": "query", "required": False, "schema": schema}
