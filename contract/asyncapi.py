"""Describes the ways in through Redis as an AsyncAPI 3.0 document: which address, which message. Does no I/O."""

from importlib.metadata import version
from typing import Any

from contract.schemas import components
from worker.events import EVENT_TYPES, MAX_BODY_BYTES
from worker.executor.broker import EVENTS_QUEUE
from worker.ledger.views import STREAM
from worker.producer import FIELD

Part = dict[str, Any]
_NAMES = {event_type: event_type.replace(".", " ").title().replace(" ", "") for event_type in EVENT_TYPES}
"""Of each type's message, as a name in a document: AccountLinked."""
_ABOUT = """\
Nightly switches Flinks nightly refreshes on when an account is linked and off when it goes inactive.
Send one event for each change; the time at which it happened decides the order, so an event that comes
late, twice or in the wrong order does no harm.
"""
_STREAM = f"""\
The recommended way in. `XADD {STREAM} * {FIELD} <JSON>`: one entry holds one CloudEvent or an array of them,
at most {MAX_BODY_BYTES} bytes. Workers delete an entry once all of it is recorded.
"""
_QUEUE = f"""\
The Celery queue `{EVENTS_QUEUE}`, for whoever has a Celery client of any language: protocol 2, JSON, keyword
arguments only. The Python client may be given a datetime with a zone, which it writes in a notation of its own.
"""


def document() -> Part:
    """Return the whole document, ready to be written."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Nightly",
            "version": version("nightly-refresh-worker"),
            "description": _ABOUT,
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "servers": {"redis": _server()},
        "channels": {"stream": _stream(), "queue": _queue()},
        "operations": {"takeInFromStream": _operation("stream"), "takeInFromQueue": _operation("queue")},
        "components": {"messages": _messages(), "schemas": components("#/components/schemas/")},
    }


def _server() -> Part:
    return {
        "host": "localhost:6379",
        "pathname": "/0",
        "protocol": "redis",
        "description": "What REDIS_URL names (and BROKER_URL, for the queue): yours stands elsewhere.",
    }


def _stream() -> Part:
    return {
        "address": STREAM,
        "description": _STREAM,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in ("CloudEvent", "Batch")},
        "x-stream-field": FIELD,
    }


def _queue() -> Part:
    return {
        "address": EVENTS_QUEUE,
        "description": _QUEUE,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _NAMES.values()},
    }


def _operation(channel: str) -> Part:
    return {"action": "receive", "channel": {"$ref": f"#/channels/{channel}"}}


def _messages() -> Part:
    return {
        "CloudEvent": {"title": "One CloudEvent", "payload": {"$ref": "#/components/schemas/cloudEvent"}},
        "Batch": {"title": "CloudEvents in one array", "payload": {"$ref": "#/components/schemas/batch"}},
        **{name: _celery_message(event_type) for event_type, name in _NAMES.items()},
    }


def _celery_message(event_type: str) -> Part:
    switched = "on" if EVENT_TYPES[event_type] else "off"
    return {
        "title": f"{event_type}: switches nightly refreshes {switched}",
        "headers": {
            "type": "object",
            "required": ["task", "id"],
            "properties": {
                "task": {"const": event_type},
                "id": {"type": "string", "description": "Shown in logs: never make it from the loginId."},
            },
        },
        "payload": {
            "type": "array",
            "description": "Celery's body: positional arguments (none), keyword arguments, and what follows the task.",
            "minItems": 3,
            "maxItems": 3,
            "items": [
                {"type": "array", "maxItems": 0},
                {"$ref": "#/components/schemas/celeryArguments"},
                {"type": "object"},
            ],
        },
    }
