"""Describes events through Redis and RabbitMQ as an AsyncAPI 3.0 document: addresses and messages."""

from importlib.metadata import version
from typing import Any

from docs.generator.schemas import components
from worker.events.channels import EVENTS_QUEUE, STREAM, TOPIC
from worker.events.contract import EVENT_TYPES, MAX_BODY_BYTES
from worker.events.publisher import FIELD

Part = dict[str, Any]
_NAMES = {event_type: event_type.replace(".", " ").title().replace(" ", "") for event_type in EVENT_TYPES}
"""The name of each type's message in the document, such as AccountLinked."""
_ABOUT = """\
Nightly switches Flinks nightly refreshes on when an account is linked and off when it goes inactive.
Send one event for each change. The time of the change decides the order, so a late, repeated or misordered
event does no harm. [openapi.yaml](openapi.yaml) describes events over HTTP.
"""
_STREAM = f"""\
The recommended way to send. `XADD {STREAM} * {FIELD} <JSON>`: one entry holds one CloudEvent or an array of them,
at most {MAX_BODY_BYTES} bytes. Workers delete an entry once all of it is recorded.
"""
_QUEUE = f"""\
The Celery queue `{EVENTS_QUEUE}`, for a Celery client in any language: protocol 2, JSON, keyword arguments only.
The Python client accepts a datetime with a zone, which it writes in its own notation.
On RabbitMQ the same message goes to the direct exchange `{EVENTS_QUEUE}` with the routing key `{EVENTS_QUEUE}`.
"""
_EXCHANGE = f"""\
For any other AMQP client: the exchange `{TOPIC}` with the event type as the routing key. One message
holds one CloudEvent or an array of them, as JSON. Publish it persistent, mandatory and with publisher confirms;
otherwise it may be lost.
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
        "servers": {"redis": _redis(), "rabbitmq": _rabbitmq()},
        "channels": {"stream": _stream(), "queue": _queue(), "exchange": _exchange()},
        "operations": {
            "takeInFromStream": _operation("stream"),
            "takeInFromQueue": _operation("queue"),
            "takeInFromExchange": _operation("exchange"),
        },
        "components": {"messages": _messages(), "schemas": components("#/components/schemas/")},
    }


def _redis() -> Part:
    return {
        "host": "localhost:6379",
        "pathname": "/0",
        "protocol": "redis",
        "description": "The server in REDIS_URL; yours has another address.",
    }


def _rabbitmq() -> Part:
    return {
        "host": "localhost:5672",
        "pathname": "/",
        "protocol": "amqp",
        "description": "The server in BROKER_URL, if it is RabbitMQ (3.10 or newer); yours has another address.",
    }


def _stream() -> Part:
    return _on("redis") | {
        "address": STREAM,
        "description": _STREAM,
        "messages": _named("CloudEvent", "Batch"),
        "x-stream-field": FIELD,
    }


def _queue() -> Part:
    kind = {"is": "queue", "queue": {"name": EVENTS_QUEUE, "durable": True, "exclusive": False, "autoDelete": False}}
    return _on("redis", "rabbitmq") | {
        "address": EVENTS_QUEUE,
        "description": _QUEUE,
        "messages": _named(*_NAMES.values()),
        "bindings": {"amqp": kind},
    }


def _exchange() -> Part:
    exchange = {"name": TOPIC, "type": "topic", "durable": True, "autoDelete": False}
    return _on("rabbitmq") | {
        "address": "{type}",
        "description": _EXCHANGE,
        "parameters": {
            "type": {"enum": list(EVENT_TYPES), "description": "Only for routing; the type in the event decides."}
        },
        "messages": _named("CloudEvent", "Batch"),
        "bindings": {"amqp": {"is": "routingKey", "exchange": exchange}},
    }


def _on(*servers: str) -> Part:
    return {"servers": [{"$ref": f"#/servers/{name}"} for name in servers]}


def _named(*messages: str) -> Part:
    return {name: {"$ref": f"#/components/messages/{name}"} for name in messages}


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
            "description": "Celery's body: positional arguments (none), keyword arguments, and task options.",
            "minItems": 3,
            "maxItems": 3,
            "items": [
                {"type": "array", "maxItems": 0},
                {"$ref": "#/components/schemas/celeryArguments"},
                {"type": "object"},
            ],
        },
    }
