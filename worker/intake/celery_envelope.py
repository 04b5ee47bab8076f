"""Finds queue items that are no Celery message (not UTF-8, not JSON, no envelope), and why, so that they are rejected.

kombu pops an item from a Redis list before it decodes it; one that it cannot decode ends the worker or is lost. Such an
item is wrapped in a valid envelope: kombu secures and delivers it like any message, and then it is kept as a dead
letter, by `celery_message.py` on the queue of events and by `worker/celery_worker/consumer.py` on any other queue.
"""

import base64
import binascii
import json
import uuid
from collections.abc import Mapping
from typing import Any

from kombu.utils.json import loads

UNREADABLE = "application/x-nightly-unreadable"
"""The content type of a wrapper; no worker accepts it, so a wrapped item never runs as a task."""
REASON = "x-nightly-reason"
"""The header of a wrapper that says why its item is rejected."""


def envelope_for_kombu(item: bytes, queue: str) -> bytes:
    """Return an envelope for `queue` that kombu can decode: `item`, corrected if need be, or a wrapper around it."""
    envelope, fault = decode_envelope(item)
    if fault:
        return _wrapped(item, queue, fault)
    return item if _is_restorable(envelope, queue) else _addressed(envelope, queue)


def decode_envelope(item: bytes) -> tuple[Any, str]:
    """Return an item decoded, and its fault in words without content; an empty fault: it is valid."""
    try:
        envelope = loads(item.decode())
    except UnicodeDecodeError:
        return None, "message: is not UTF-8"
    except RecursionError:
        return None, "message: is nested too deeply"
    except Exception:  # noqa: BLE001 - kombu's decoder builds values, and may raise whatever they do
        return None, "message: is not JSON"
    return envelope, fault_of(envelope)


def fault_of(envelope: object) -> str:
    """Return the fault of a decoded envelope in words without content; empty: it is valid."""
    if not isinstance(envelope, Mapping) or not isinstance(envelope.get("properties"), Mapping):
        return "message: is not a Celery message"
    properties = envelope["properties"]
    delivery = properties.get("delivery_info")
    if not isinstance(properties.get("delivery_tag"), str) or not isinstance(delivery, Mapping):
        return "message: has no delivery_tag or no delivery_info"
    if not isinstance(envelope.get("headers"), Mapping | None):
        return "message: its headers are not an object"
    if not all(isinstance(envelope.get(name), str | None) for name in ("content-type", "content-encoding")):
        return "message: its content-type or content-encoding is not text"
    if properties.get("body_encoding") not in (None, "base64") or not _is_decodable(envelope.get("body"), properties):
        return "message: its body cannot be decoded"
    return ""


def original(message: Any) -> tuple[bytes, str]:
    """Return the bytes to keep of a rejected message, and the reason in its wrapper; empty: it came without one."""
    if message.content_type == UNREADABLE:
        return body_of(message), str(message.headers.get(REASON, ""))
    body = body_of(message)
    headers = message.headers
    if not message.errors:  # else its body is still compressed
        headers = {name: value for name, value in headers.items() if name != "compression"}
    kept = {
        "content_type": message.content_type,
        "content_encoding": message.content_encoding,
        "headers": headers,
        "body_encoding": "base64",
        "body": base64.b64encode(body).decode(),
    }
    try:
        return json.dumps(kept, ensure_ascii=False, default=str).encode("utf-8", "surrogatepass"), ""
    except (RecursionError, ValueError):
        return body, ""


def body_of(message: Any) -> bytes:
    """Return a message's body as bytes; transports give bytes, memoryviews or text."""
    body = message.body or b""
    return bytes(body) if isinstance(body, bytes | bytearray | memoryview) else str(body).encode("utf-8", "replace")


def _is_decodable(body: object, properties: Mapping[str, Any]) -> bool:
    if not body:
        return True
    if not isinstance(body, str):
        return False
    if properties.get("body_encoding") is None:
        return True
    try:
        base64.b64decode(body.encode())
    except (binascii.Error, ValueError):
        return False
    return True


def _is_restorable(envelope: Mapping[str, Any], queue: str) -> bool:
    """Say whether kombu can put the message back in its queue after its worker died.

    kombu writes into the headers then, and converts the priority to an integer, which never ends for 1e999999999.
    """
    properties = envelope["properties"]
    delivery = properties["delivery_info"]
    is_addressed = delivery.get("exchange") in ("", queue) and delivery.get("routing_key") == queue
    has_priority = type(properties.get("priority", 0)) is int
    return is_addressed and has_priority and isinstance(envelope.get("headers"), Mapping)


def _addressed(envelope: dict[str, Any], queue: str) -> bytes:
    """Return the envelope with the address, the headers and the priority that restoring needs."""
    properties = envelope["properties"]
    properties["delivery_info"] |= {"exchange": queue, "routing_key": queue}
    if type(properties.get("priority", 0)) is not int:
        del properties["priority"]
    envelope["headers"] = envelope.get("headers") or {}
    return json.dumps(envelope, default=str).encode()


def _wrapped(item: bytes, queue: str, reason: str) -> bytes:
    envelope = {
        "body": base64.b64encode(item).decode(),
        "content-type": UNREADABLE,
        "content-encoding": "binary",
        "headers": {REASON: reason},
        "properties": {
            "body_encoding": "base64",
            "delivery_tag": str(uuid.uuid4()),
            "delivery_info": {"exchange": queue, "routing_key": queue},
        },
    }
    return json.dumps(envelope).encode()
