"""Keeps a worker alive on py-amqp: guards for what py-amqp 5.4 would wait for, or trip over, for ever.

1. A broker that is out of memory or disk, or frozen, answers nothing, and py-amqp waits without end, even to close a
   channel. Here no answer is waited for longer than ANSWER_SECONDS, and none is a lost connection.
2. RabbitMQ passes on any headers, py-amqp makes values of them, and some have none: a timestamp in milliseconds lies in
   the year 50,000. What it raises ends the connection, and RabbitMQ delivers the message again. Here such a message
   arrives without its properties, marked as unreadable, and is set aside as any foreign one.
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
    original = message_class._load_properties  # noqa: SLF001 - where properties become values; no public face

    def guarded(message: Any, *args: Any, **options: Any) -> Any:
        try:
            return original(message, *args, **options)
        except Exception:  # noqa: BLE001 - it builds values, and may raise whatever they do
            headers = {REASON: "message: its properties cannot be read"}
            message.properties = {"content_type": UNREADABLE, "application_headers": headers}
            return None

    message_class._load_properties = guarded  # noqa: SLF001
