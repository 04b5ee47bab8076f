"""Decides what of a queue's raw item Celery may see: an envelope it can open, or one of ours around the foreign bytes.

kombu takes an item from a Redis list before it looks at it, and one that it cannot open ends the worker or is
lost. Wrapped, the same bytes travel as any message does: secured, delivered, and dead-lettered by
`worker/celery_worker/consumer.py`.
"""

import base64
import binascii
import json
import uuid
from collections.abc import Mapping
from typing import Any

from kombu.utils.json import loads

UNREADABLE = "application/x-nightly-unreadable"
"""The content type of a wrapper; no worker accepts it, so it is never taken for a task."""
REASON = "x-nightly-reason"


def readable(item: bytes, queue: str) -> bytes:
    """Return `item` if it is an envelope that kombu can open, else an envelope around it for the same queue."""
    envelope, reason = opened(item)
    if reason:
        return _wrapped(item, queue, reason)
    return item if _comes_back(envelope, queue) else _addressed(envelope, queue)


def opened(item: bytes) -> tuple[Any, str]:
    """Return an item decoded, and what is wrong with it in words that name no content; empty: nothing."""
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
    """Return what is wrong with a decoded envelope in words that name no content; empty: nothing."""
    if not isinstance(envelope, Mapping) or not isinstance(envelope.get("properties"), Mapping):
        return "message: is no Celery message"
    properties = envelope["properties"]
    delivery = properties.get("delivery_info")
    if not isinstance(properties.get("delivery_tag"), str) or not isinstance(delivery, Mapping):
        return "message: has no delivery_tag or no delivery_info"
    if not isinstance(envelope.get("headers"), Mapping | None):
        return "message: its headers are no object"
    if not all(isinstance(envelope.get(name), str | None) for name in ("content-type", "content-encoding")):
        return "message: its content-type or content-encoding is no text"
    if properties.get("body_encoding") not in (None, "base64") or not _opens(envelope.get("body"), properties):
        return "message: its body cannot be decoded"
    return ""


def original(message: Any) -> tuple[bytes, str]:
    """Return the bytes to keep of a message that was not accepted, and the reason if it came in a wrapper."""
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
    """Return a message's body as bytes, whatever the transport made of it."""
    body = message.body or b""
    return bytes(body) if isinstance(body, bytes | bytearray | memoryview) else str(body).encode("utf-8", "replace")


def _opens(body: object, properties: Mapping[str, Any]) -> bool:
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


def _comes_back(envelope: Mapping[str, Any], queue: str) -> bool:
    """Whether kombu would restore it to the queue it came from, after its worker was lost.

    It writes into the headers then, and makes an integer of the priority, which takes for ever with 1e999999999.
    """
    properties = envelope["properties"]
    delivery = properties["delivery_info"]
    is_addressed = delivery.get("exchange") in ("", queue) and delivery.get("routing_key") == queue
    has_priority = type(properties.get("priority", 0)) is int
    return is_addressed and has_priority and isinstance(envelope.get("headers"), Mapping)


def _addressed(envelope: dict[str, Any], queue: str) -> bytes:
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
