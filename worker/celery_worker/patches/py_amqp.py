"""Keeps a worker alive on py-amqp: corrects two faults of py-amqp 5.4.

1. A frozen broker, or one out of memory or disk, does not answer, and py-amqp waits without limit, even to close a
   channel. The patch waits at most ANSWER_SECONDS; then the connection counts as lost.
2. RabbitMQ forwards any headers, and py-amqp fails on some: a timestamp in milliseconds lies in the year 50,000. The
   exception ends the connection, and RabbitMQ delivers the message again. With the patch such a message arrives without
   its properties, marked as unreadable, and is set aside like any foreign message.
"""

from typing import Any

from amqp.abstract_channel import AbstractChannel
from amqp.basic_message import Message

from worker.broker.rabbitmq import ANSWER_SECONDS
from worker.intake.celery_envelope import REASON, UNREADABLE


def guard_amqp() -> None:
    """Patch py-amqp's waiting and its messages, once."""
    message_class: Any = Message
    if getattr(message_class, "is_guarded", False):
        return
    message_class.is_guarded = True
    _guard_waiting(AbstractChannel)
    _guard_properties(message_class)


def _guard_waiting(channel_class: Any) -> None:
    original = channel_class.wait

    def guarded(channel: Any, method: Any, callback: Any = None, timeout: Any = None, **options: Any) -> Any:
        return original(channel, method, callback, timeout or ANSWER_SECONDS, **options)

    channel_class.wait = guarded


def _guard_properties(message_class: Any) -> None:
    original = message_class._load_properties  # noqa: SLF001 - it decodes properties; there is no public hook

    def guarded(message: Any, *args: Any, **options: Any) -> Any:
        try:
            return original(message, *args, **options)
        except Exception:  # noqa: BLE001 - it builds values of any type, whose constructors may raise anything
            headers = {REASON: "message: its properties cannot be read"}
            message.properties = {"content_type": UNREADABLE, "application_headers": headers}
            return None

    message_class._load_properties = guarded  # noqa: SLF001
