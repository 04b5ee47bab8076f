"""Decides whether a message from RabbitMQ is a Celery message, plain CloudEvents, or foreign, which is rejected.

A Celery message names its task in a header. Any other message with a JSON content type, or without a content type, is
read as CloudEvents, one or an array; `accept.py` rejects it if it is not JSON.
"""

from dataclasses import dataclass
from typing import Any

from worker.intake.celery_envelope import body_of
from worker.intake.celery_message import JSON, Foreign, read_received
from worker.intake.messages import CeleryMessage

_PLAIN = {JSON, "application/cloudevents+json", "application/cloudevents-batch+json", ""}


@dataclass(frozen=True, slots=True)
class PlainEvents:
    """A body of one CloudEvent or an array of them, not decoded yet."""

    body: bytes


def read_delivery(message: Any) -> CeleryMessage | PlainEvents | Foreign:
    """Return a message as Celery's, as plain events, or as foreign."""
    message.accept = {JSON}
    return PlainEvents(body_of(message)) if is_plain(message) else read_received(message)


def is_plain(message: Any) -> bool:
    """Say whether a message has a JSON content type, or none, and names no task."""
    content_type = str(message.content_type or "").partition(";")[0].strip().lower()
    return not message.errors and "task" not in message.headers and content_type in _PLAIN
