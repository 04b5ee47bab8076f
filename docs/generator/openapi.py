"""Describes `POST /events` as an OpenAPI 3.1 document, from the model of an event."""

from collections.abc import Mapping
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from worker.events.contract import MAX_BODY_BYTES
from worker.events.models import SEALED, CloudEvent
from worker.web.webhook.cloudevents import MAX_EVENTS, PREFIX, Mode
from worker.web.webhook.problems import PROBLEM
from worker.web.webhook.signature import TOLERANCE_SECONDS

Schema = dict[str, Any]
_REF = "#/components/schemas/"
_SAFE_TO_REPEAT = "It is always safe to sign and send it again: a repeated event is a duplicate and has no effect."
_PRINTABLE = "Printable characters, no space at either end."
_REFUSALS: Mapping[HTTPStatus, str] = {
    HTTPStatus.BAD_REQUEST: "The body, or a `ce-*` header, cannot be read.",
    HTTPStatus.UNAUTHORIZED: "The signature is missing or wrong, or its time is too far from the server's.",
    HTTPStatus.NOT_FOUND: "This server accepts no events.",
    HTTPStatus.METHOD_NOT_ALLOWED: "The method is not POST.",
    HTTPStatus.REQUEST_TIMEOUT: "The body did not arrive in time.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: f"Over {MAX_BODY_BYTES} bytes, also after sealing, or {MAX_EVENTS} events.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The media type, its charset or its encoding is not supported.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "An event is invalid; no event of the request was accepted.",
    HTTPStatus.TOO_MANY_REQUESTS: "More events than allowed for this secret; none was accepted.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "An error in the server.",
    HTTPStatus.SERVICE_UNAVAILABLE: f"No event can be stored now. {_SAFE_TO_REPEAT}",
}
_WAITING = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})


def document() -> Schema:
    """Return the document as plain data."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Nightly: events over HTTP",
            "version": version("nightly-refresh-worker"),
            "description": "docs/http.md explains how to sign a request and how to handle each response.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "https://nightly.example", "description": "The address of your server."}],
        "security": [],
        "paths": {"/events": {"post": _post()}},
        "components": {"schemas": _schemas()},
    }


def _post() -> Schema:
    answers: Schema = {"202": _accepted()}
    answers |= {str(status.value): _refusal(status, text) for status, text in _REFUSALS.items()}
    return {
        "operationId": "sendEvents",
        "summary": "Send events; 202 means that Redis has them.",
        "description": f"All events of a request are accepted, or none. {_SAFE_TO_REPEAT}",
        "parameters": [*_signature_headers(), *_attribute_headers()],
        "requestBody": {
            "required": True,
            "content": {
                Mode.STRUCTURED.value: {"schema": {"$ref": f"{_REF}CloudEvent"}},
                Mode.BATCH.value: {"schema": {"$ref": f"{_REF}Batch"}},
                Mode.BINARY.value: {"schema": {"$ref": f"{_REF}LoginData"}},
            },
        },
        "responses": answers,
    }


def _signature_headers() -> list[Schema]:
    ours = {
        "webhook-id": ("The id of this message, the same when it is sent again; no full stop.", r"^[!-\-/-~]{1,256}$"),
        "webhook-timestamp": (f"Seconds since 1970, within {TOLERANCE_SECONDS} s of the server's.", "^[0-9]{1,12}$"),
        "webhook-signature": (
            "`v1,<base64>` as in the Standard Webhooks specification; several, separated by spaces.",
            "^v1,",
        ),
    }
    return [
        {"name": name, "in": "header", "required": True, "description": text, "schema": _matching(pattern)}
        for name, (text, pattern) in ours.items()
    ]


def _matching(pattern: str) -> Schema:
    return {"type": "string", "pattern": pattern}


def _attribute_headers() -> list[Schema]:
    fields = [name for name in CloudEvent.model_fields if name not in {"data", "datacontenttype"}]
    text = f"Only in binary mode ({Mode.BINARY}): the attribute, percent-encoded. Covered by the signature."
    return [
        {"name": PREFIX + name, "in": "header", "required": False, "description": text, "schema": {"type": "string"}}
        for name in fields
    ]


def _accepted() -> Schema:
    schema = {
        "type": "object",
        "required": ["accepted"],
        "additionalProperties": False,
        "properties": {
            "accepted": {
                "type": "integer",
                "minimum": 1,
                "maximum": MAX_EVENTS,
                "description": "The number of events in the request.",
            }
        },
    }
    return {
        "description": "Redis has every event; workers record each once.",
        "content": {"application/json": {"schema": schema}},
    }


def _refusal(status: HTTPStatus, text: str) -> Schema:
    answer: Schema = {"description": text, "content": {PROBLEM: {"schema": {"$ref": f"{_REF}Problem"}}}}
    if status in _WAITING:
        seconds = {"schema": {"type": "integer", "minimum": 1}, "required": True, "description": "Seconds to wait."}
        answer["headers"] = {"Retry-After": seconds}
    return answer


def _schemas() -> Schema:
    event: Schema = CloudEvent.model_json_schema(ref_template=_REF + "{model}")
    data: Schema = event.pop("$defs")["LoginData"]
    for schema in (event, data):
        schema["properties"] = {name: _plainly(field) for name, field in schema["properties"].items()}
    batch = {"type": "array", "minItems": 1, "maxItems": MAX_EVENTS, "items": {"$ref": f"{_REF}CloudEvent"}}
    return {"CloudEvent": event, "LoginData": data, "Batch": batch, "Problem": _problem()}


def _plainly(field: Schema) -> Schema:
    """Drop titles, defaults and patterns, and describe the rules of the model's validators in words.

    docs/schemas has the patterns; tools that generate requests from this document cannot invert them.
    """
    field = _kept(field)
    if "anyOf" in field:
        field["anyOf"] = [_kept(one) for one in field["anyOf"]]
    if field.get("maxLength") or "anyOf" in field:
        field["description"] = " ".join(filter(None, [field.get("description"), _PRINTABLE]))
    if field.get("format") == "date-time":
        field["description"] = "RFC 3339 with a time zone, 1970 to 2254, at most an hour ahead by default."
    return field


def _kept(field: Schema) -> Schema:
    dropped = {"title", "default", "not"} | ({"pattern"} if field.get("pattern") != SEALED else set())
    return {name: value for name, value in field.items() if name not in dropped}


def _problem() -> Schema:
    text = {"type": "string"}
    fields = {
        "type": "array",
        "items": {"type": "object", "required": ["field", "reason"], "properties": {"field": text, "reason": text}},
    }
    error = {
        "type": "object",
        "required": ["code", "fields"],
        "properties": {"index": {"type": "integer", "minimum": 0}, "code": text, "fields": fields},
    }
    return {
        "type": "object",
        "description": "RFC 9457; it never repeats the input. `code` is for programs.",
        "required": ["type", "title", "status", "code", "detail"],
        "properties": {
            "type": text,
            "title": text,
            "status": {"type": "integer"},
            "code": text,
            "detail": text,
            "errors": {"type": "array", "items": error, "description": "One for each invalid event, by position."},
        },
    }
