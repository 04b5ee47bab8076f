"""Decides what an item of the queue `account-events` is, by the rules of kombu and Celery, which no longer read it.

An event, whatever else its message asks for; or nothing for this queue, another task of ours included, with a reason
that names no content. What Celery's own clients send is read at once; for all else kombu and Celery are asked as if
they had received it.
"""

from dataclasses import dataclass
from typing import Any, NoReturn

from celery.exceptions import InvalidTaskError
from celery.worker import strategy
from kombu.exceptions import ContentDisallowed, DecodeError
from kombu.transport.virtual import Base64, Message
from kombu.utils.json import loads
from pydantic_core import from_json

from worker.events.channels import EVENTS_QUEUE
from worker.events.contract import EVENT_TYPES
from worker.intake.bounded_decoding import guard_decoding, why_not_decoded
from worker.intake.celery_envelope import original, readable
from worker.intake.messages import CeleryMessage

JSON = "application/json"
_KOMBUS_TYPES = b"__type__"
"""Marks what kombu's decoder makes a value of: a time, a UUID."""
_base64 = Base64()
_celery: Any = strategy
_Message: Any = Message
"""What the stubs of both do not know of them."""

guard_decoding()  # here, because a command that replays a letter decodes messages, too, and has no worker's guards


@dataclass(frozen=True, slots=True)
class Foreign:
    """An item that is no event: what to keep of it, and why."""

    body: bytes
    reason: str


def read(item: bytes, queue: str) -> CeleryMessage | Foreign:
    """Return what an item of `queue` is."""
    return _plain(item) or _as_celery_would(item, queue)


def _plain(item: bytes) -> CeleryMessage | None:
    """Read an event of protocol 2 that needs none of kombu's decoders; None: `_as_celery_would` has to read it.

    It takes 6 us where kombu takes 29, of 40 us for a message in all (docs/performance.md, What was tried).
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


def _as_celery_would(item: bytes, queue: str) -> CeleryMessage | Foreign:
    envelope = readable(item, queue)
    message = _Message(loads(envelope.decode()), channel=_Channel(), accept={JSON})
    return read_received(message)


def read_received(message: Any) -> CeleryMessage | Foreign:
    """Return what a message that kombu received is."""
    try:
        return _judged(message)
    except _NotOurs as reason:
        body, own_reason = original(message)
        return Foreign(body, own_reason or f"message: {reason}")


def kept_message(kept: bytes) -> CeleryMessage | bytes:
    """Return what the review list kept of a message as intake takes it: a Celery message, or a body of CloudEvents.

    `kept` is an item of a Redis queue as it was, or what `envelope.original` made of a message.
    """
    try:
        document = from_json(kept)
    except ValueError:
        return kept
    if isinstance(document, dict) and document.get("body_encoding") == "base64" and "properties" not in document:
        return _of_original(document) or kept
    found = read(kept, EVENTS_QUEUE)
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


class _NotOurs(Exception):
    """Why an item is no event."""


class _Channel:
    """What a message of kombu's asks of its channel when it is made."""

    @staticmethod
    def decode_body(body: Any, encoding: str | None) -> Any:
        return _base64.decode(body) if encoding else body


def _judged(message: Any) -> CeleryMessage:
    """Ask what Celery's consumer asks, in its order; raises _NotOurs."""
    if message.errors:
        raise _NotOurs(why_not_decoded(message.errors[0][1]))
    name = message.headers["task"] if "task" in message.headers else _name_of_protocol_1(message)
    try:
        if name not in EVENT_TYPES:
            raise _NotOurs("names a task that is no event")
        return _event(name, *_parts(message))
    except DecodeError as error:
        _refuse("cannot be decoded", error)
    except (InvalidTaskError, ContentDisallowed) as error:
        _refuse("is not a valid task", error)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        _refuse("could not be handled", error)


def _name_of_protocol_1(message: Any) -> Any:
    try:
        payload = message.decode()
    except Exception as error:  # noqa: BLE001 - kombu's decoders build values, and may raise whatever they do
        _refuse("cannot be decoded", error)
    try:
        return payload["task"]
    except (TypeError, KeyError):
        raise _NotOurs("names no task") from None


def _parts(message: Any) -> tuple[Any, Any, Any, Any]:
    """Return the task's id, arguments, keywords and options, of protocol 1, 2, or a mixture that Celery takes too."""
    body, headers = message.payload, message.headers
    if "task" in headers and "args" in body:
        body, headers, *_ = _celery.hybrid_to_proto2(message, body)
    elif "task" not in headers:
        body, headers, *_ = _celery.proto1_to_proto2(message, body)
    arguments, keywords, embed = body
    return headers["id"], arguments, keywords, embed


def _event(name: str, task_id: Any, arguments: Any, keywords: Any, embed: Any) -> CeleryMessage:
    """Return the event; tasks that a message wants to follow it (`embed`) are never sent."""
    hash(task_id)  # Celery looks it up
    if not isinstance(arguments, list | tuple) or not isinstance(keywords, dict) or not isinstance(embed, dict):
        raise InvalidTaskError("the body is not [args, kwargs, embed]")
    return CeleryMessage(name, arguments, keywords, str(task_id))


def _refuse(what: str, error: BaseException) -> NoReturn:
    raise _NotOurs(f"{what} ({type(error).__name__})")
