"""Decides whether an item of Celery's queue `account-events` is an event, or is rejected as foreign, and why.

An event is a message of Celery's protocol 2 with an event task's name; what else it asks for (an ETA, an expiry,
callbacks) is ignored. Any other item is foreign: not JSON (`celery_envelope.py`), compressed by another method, another
task. Its reason holds no content. The form that Celery's clients send is decoded here, other forms by kombu.
"""

from dataclasses import dataclass
from typing import Any

from kombu.exceptions import DecodeError
from kombu.transport.virtual import Base64, Message
from kombu.utils.json import loads
from pydantic_core import from_json

from worker.events.channels import EVENTS_QUEUE
from worker.events.contract import EVENT_TYPES
from worker.intake.bounded_decoding import guard_decoding, why_not_decoded
from worker.intake.celery_envelope import envelope_for_kombu, original
from worker.intake.messages import CeleryMessage

JSON = "application/json"
NO_TASK = "its headers name no task, as Celery's message protocol 2 requires"
_KOMBUS_TYPES = b"__type__"
"""Marks a value that kombu's decoder builds: a time, a UUID."""
_base64 = Base64()
_Message: Any = Message
"""Untyped, because the stubs lack its attributes."""

guard_decoding()  # here, because the replay command decodes messages too, and has no worker's guards


@dataclass(frozen=True, slots=True)
class Foreign:
    """An item that is not an event: the bytes to keep, and why it is rejected."""

    body: bytes
    reason: str


def read_item(item: bytes, queue: str) -> CeleryMessage | Foreign:
    """Return an item of `queue` as an event, or as foreign."""
    return _decoded_fast(item) or _decoded_by_kombu(item, queue)


def _decoded_fast(item: bytes) -> CeleryMessage | None:
    """Decode an event that needs none of kombu's decoders; None: `_decoded_by_kombu` has to.

    Celery's clients send this form. It takes a fifth of kombu's time (docs/performance.md, What was tried).
    """
    try:
        envelope = from_json(item)
        headers, properties = envelope["headers"], envelope["properties"]
        is_plain = (
            envelope["content-type"] == JSON
            and envelope["content-encoding"] == "utf-8"
            and properties["body_encoding"] == "base64"
            and type(properties["delivery_tag"]) is str
            and type(properties["delivery_info"]) is dict
            and headers["task"] in EVENT_TYPES
            and type(headers["id"]) is str
            and not headers.get("compression")
        )
        body = _base64.decode(envelope["body"])
        if not is_plain or b"\\" in body or _KOMBUS_TYPES in body:
            return None
        args, kwargs, embed = from_json(body)
        if type(args) is list and type(kwargs) is dict and type(embed) is dict:
            return CeleryMessage(headers["task"], args, kwargs, headers["id"])
    except (ValueError, TypeError, KeyError, AttributeError):
        pass
    return None


def _decoded_by_kombu(item: bytes, queue: str) -> CeleryMessage | Foreign:
    envelope = envelope_for_kombu(item, queue)
    message = _Message(loads(envelope.decode()), channel=_Channel(), accept={JSON})
    return read_received(message)


def read_received(message: Any) -> CeleryMessage | Foreign:
    """Return a message that kombu received as an event, or as foreign."""
    try:
        return _checked(message)
    except _Foreign as reason:
        body, fault = original(message)
        return Foreign(body, fault or f"message: {reason}")


def kept_message(kept: bytes) -> CeleryMessage | bytes:
    """Return a kept message in the form that intake accepts: a Celery message, or a body of CloudEvents.

    `kept` is a raw item of a Redis queue, or the result of `celery_envelope.original`.
    """
    try:
        document = from_json(kept)
    except ValueError:
        return kept
    if isinstance(document, dict) and document.get("body_encoding") == "base64" and "properties" not in document:
        return _of_original(document) or kept
    found = read_item(kept, EVENTS_QUEUE)
    return found if isinstance(found, CeleryMessage) else kept


def _of_original(document: dict[str, Any]) -> CeleryMessage | bytes | None:
    try:
        headers = document["headers"]
        envelope = {
            "body": document["body"],
            "content-type": document["content_type"],
            "content-encoding": document["content_encoding"],
            "headers": headers,
            "properties": {"body_encoding": "base64", "delivery_tag": "", "delivery_info": {}},
        }
        if "task" not in headers:
            return bytes(_base64.decode(document["body"]))
        found = read_received(_Message(envelope, channel=_Channel(), accept={JSON}))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    return found if isinstance(found, CeleryMessage) else None


class _Foreign(Exception):
    """Why a message is foreign."""


class _Channel:
    """The part of a channel that kombu's Message needs."""

    @staticmethod
    def decode_body(body: Any, encoding: str | None) -> Any:
        return _base64.decode(body) if encoding else body


def _checked(message: Any) -> CeleryMessage:
    """Apply the checks of Celery's consumer, in its order; raises _Foreign."""
    if message.errors:
        raise _Foreign(why_not_decoded(message.errors[0][1]))
    if message.content_type != JSON:
        raise _Foreign("its content type is not application/json")
    headers = message.headers
    if "task" not in headers:
        raise _Foreign(NO_TASK)
    try:
        if headers["task"] not in EVENT_TYPES:
            raise _Foreign("its task is not an event")
        return _event(headers["task"], headers["id"], message.payload)
    except DecodeError as error:
        raise _Foreign(f"cannot be decoded ({type(error).__name__})") from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _Foreign(f"could not be handled ({type(error).__name__})") from None


def _event(name: str, task_id: Any, body: Any) -> CeleryMessage:
    """Return the event. Tasks that the message asks to run after it (the body's third part) are never sent."""
    hash(task_id)  # raises TypeError for an object or an array, as Celery does when it looks the id up
    match body:
        case [list() as arguments, dict() as keywords, dict()]:
            return CeleryMessage(name, arguments, keywords, str(task_id))
    raise _Foreign("its body is not [args, kwargs, embed]")
