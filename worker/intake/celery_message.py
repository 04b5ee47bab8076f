"""Decides what an item of the queue `account-events` is, by the rules of kombu and Celery, which no longer read it.

An event, whatever else its message asks for; or nothing for this queue, another task of ours included, with a reason
that names no content. What Celery's own clients send is read at once; for all else kombu and Celery are asked as if
they had received it.
"""

from dataclasses import dataclass
from typing import Any, NoReturn

from kombu.exceptions import DecodeError
from kombu.transport.virtual import Base64, Message
from kombu.utils.json import loads
from pydantic_core import from_json

from worker.events.channels import EVENTS_QUEUE
from worker.events.contract import EVENT_TYPES
from worker.intake.bounded_decoding import guard_decoding, why_not_decoded
from worker.intake.celery_envelope import original, readable
from worker.intake.messages import CeleryMessage

JSON = "application/json"
NO_TASK = "its headers name no task, as Celery's message protocol 2 requires"
_KOMBUS_TYPES = b"__type__"
"""Marks what kombu's decoder makes a value of: a time, a UUID."""
_base64 = Base64()
_Message: Any = Message
"""Untyped, because the stubs lack its attributes."""

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
    """Apply the checks of Celery's consumer, in its order; raises _NotOurs."""
    if message.errors:
        raise _NotOurs(why_not_decoded(message.errors[0][1]))
    if message.content_type != JSON:
        raise _NotOurs("its content type is not application/json")
    headers = message.headers
    if "task" not in headers:
        raise _NotOurs(NO_TASK)
    try:
        if headers["task"] not in EVENT_TYPES:
            raise _NotOurs("names a task that is no event")
        return _event(headers["task"], headers["id"], message.payload)
    except DecodeError as error:
        _refuse("cannot be decoded", error)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        _refuse("could not be handled", error)


def _event(name: str, task_id: Any, body: Any) -> CeleryMessage:
    """Return the event. Tasks that the message asks to run after it (the body's third part) are never sent."""
    hash(task_id)  # Celery looks it up
    match body:
        case [list() as arguments, dict() as keywords, dict()]:
            return CeleryMessage(name, arguments, keywords, str(task_id))
    raise _NotOurs("its body is not [args, kwargs, embed]")


def _refuse(what: str, error: BaseException) -> NoReturn:
    raise _NotOurs(f"{what} ({type(error).__name__})")
