"""Turns the models of `worker/events/models.py` into JSON Schemas (draft 7, which AsyncAPI reads too).

The rules for a text and for a time are defined once each and used by reference.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from worker.events.contract import MAX_BATCH_EVENTS, MAX_BODY_BYTES
from worker.events.models import TEXT, TIME, CeleryArguments, CloudEvent, LoginData

Schema = dict[str, Any]
DRAFT = "http://json-schema.org/draft-07/schema#"
FILES = {"celeryArguments": "celery-arguments", "cloudEvent": "cloudevent", "batch": "batch"}
"""The published schemas and their file names."""
_TEXT: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": 256,
    **TEXT,
    "description": "1 to 256 printable characters, no space at either end. Beyond the pattern: characters above U+FFFF "
    "and unassigned ones must be printable too.",
}
_TIME: Schema = {
    "type": "string",
    "format": "date-time",
    **TIME,
    "description": "RFC 3339 with a time zone, kept to the microsecond. Beyond the pattern: the day must exist, and "
    "the time must be between 1970 and 2254-12-31T00:00:00Z.",
}
_EXAMPLE_TIME = "2026-11-22T10:00:00Z"
_EXAMPLES: Mapping[str, Schema] = {
    "celeryArguments": {"login_id": "your-login-id", "occurred_at": _EXAMPLE_TIME, "account_id": "cust-42"},
    "cloudEvent": {
        "specversion": "1.0",
        "id": "evt-1",
        "source": "crm",
        "type": "account.linked",
        "time": _EXAMPLE_TIME,
        "subject": "cust-42",
        "data": {"loginId": "your-login-id"},
    },
}


def components(prefix: str) -> dict[str, Schema]:
    """Return every schema by name, referring to each other under `prefix`, such as `#/definitions/`."""
    return {
        "celeryArguments": _with_default_id(_of(CeleryArguments, prefix)) | _example("celeryArguments"),
        "cloudEvent": _of(CloudEvent, prefix) | _example("cloudEvent"),
        "batch": {
            "title": "Batch",
            "description": f"CloudEvents in one JSON array of at most {MAX_BODY_BYTES} bytes. The worker records the "
            "valid events and keeps invalid ones for review.",
            "type": "array",
            "minItems": 1,
            "maxItems": MAX_BATCH_EVENTS,
            "items": {"$ref": f"{prefix}cloudEvent"},
        },
        "loginData": _of(LoginData, prefix),
        "text": _TEXT,
        "time": _TIME,
    }


def documents() -> dict[str, Schema]:
    """Return the published schemas by file name; each stands alone."""
    every = components("#/definitions/")
    return {f"{file}.schema.json": _alone(every, name) for name, file in FILES.items()}


def _of(model: type[BaseModel], prefix: str) -> Schema:
    found = model.model_json_schema(by_alias=True)
    found["properties"] = {name: _property(schema, prefix) for name, schema in found["properties"].items()}
    found.pop("$defs", None)
    return found


def _property(schema: Schema, prefix: str) -> Schema:
    """Express the rule of a field by reference; draft 7 ignores everything beside a `$ref`."""
    if "$ref" in schema:
        return {"$ref": f"{prefix}loginData"}
    kept = {key: value for key, value in schema.items() if key not in {"title", "default"}}
    if "anyOf" in kept:
        return {**kept, "anyOf": [_referred(option, prefix) for option in kept["anyOf"]]}
    referred = _referred(kept, prefix)
    if referred is kept:
        return kept
    return {"description": kept["description"], "allOf": [referred]}


def _referred(schema: Schema, prefix: str) -> Schema:
    for name, rule in (("text", _TEXT), ("time", _TIME)):
        if schema.get("pattern") == rule["pattern"]:
            return {"$ref": f"{prefix}{name}"}
    return schema


def _with_default_id(schema: Schema) -> Schema:
    """Make the event id optional, because intake uses the task id instead."""
    event_id = schema["properties"]["event_id"]
    event_id["anyOf"] = [*event_id.pop("allOf"), {"type": "null"}]
    return {**schema, "required": [name for name in schema["required"] if name != "event_id"]}


def _example(name: str) -> Schema:
    return {"examples": [_EXAMPLES[name]]}


def _alone(every: Mapping[str, Schema], name: str) -> Schema:
    """Return one schema with every schema that it refers to."""
    needed, todo = set[str](), [name]
    while todo:
        for other in _names_in(every[todo.pop()]):
            if other not in needed:
                needed.add(other)
                todo.append(other)
    return {"$schema": DRAFT, **every[name], "definitions": {other: every[other] for other in sorted(needed)}}


def _names_in(schema: Any) -> set[str]:
    if isinstance(schema, dict):
        own = {schema["$ref"].rpartition("/")[2]} if isinstance(schema.get("$ref"), str) else set()
        return own.union(*map(_names_in, schema.values()))
    if isinstance(schema, list):
        return set[str]().union(*map(_names_in, schema))
    return set()
