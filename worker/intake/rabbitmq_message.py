"""Decides what a message from RabbitMQ is: what a Celery client sent, or a plain JSON event of any other producer.

Celery's messages name their task, in a header or, of protocol 1, in the body. All else that calls itself JSON, or
nothing at all, is read as CloudEvents, one or an array.
"""

from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from worker.intake.celery_envelope import body_of
from worker.intake.celery_message import JSON, Foreign, read_received
from worker.intake.messages import CeleryMessage

_PLAIN = {JSON, "application/cloudevents+json", "application/cloudevents-batch+json", ""}


@dataclass(frozen=True, slots=True)
class PlainEvents:
    """A body that holds one CloudEvent or an array of them, not judged yet."""

    body: bytes


def read_delivery(message: Any) -> CeleryMessage | PlainEvents | Foreign:
    """Return what a message is."""
    message.accept = {JSON}
    return PlainEvents(body_of(message)) if _is_plain(message) else read_received(message)


def is_plain_type(message: Any) -> bool:
    """Say whether a message calls itself JSON and names no task, without decoding its body."""
    content_type = str(message.content_type or "").partition(";")[0].strip().lower()
    return not message.errors and "task" not in message.headers and content_type in _PLAIN


def _is_plain(message: Any) -> bool:
    if not is_plain_type(message):
        return False
    try:
        document = from_json(body_of(message))
    except ValueError:
        return True  # and refused, with the reason that it is no JSON
    return not isinstance(document, dict) or "task" not in document or "specversion" in document
