"""Keeps a worker alive on py-amqp: a message whose properties it cannot read would end the connection, for ever again.

RabbitMQ passes on any properties and headers, py-amqp 5.4 makes values of them, and some have none: a timestamp header
in milliseconds lies in the year 50,000. What it raises then ends the connection, and RabbitMQ delivers the message
again. Here such a message arrives without its properties, marked as unreadable, and is set aside as any foreign one.
"""

from typing import Any

from amqp.basic_message import Message

from worker.executor.envelope import REASON, UNREADABLE


def guard_amqp() -> None:
    """Patch py-amqp's messages, once."""
    message_class: Any = Message
    original = message_class._load_properties  # noqa: SLF001 - where properties become values; no public face
    if getattr(original, "is_guarded", False):
        return

    def guarded(message: Any, *args: Any, **options: Any) -> Any:
        try:
            return original(message, *args, **options)
        except Exception:  # noqa: BLE001 - it builds values, and may raise whatever they do
            headers = {REASON: "message: its properties cannot be read"}
            message.properties = {"content_type": UNREADABLE, "application_headers": headers}
            return None

    guarded.is_guarded = True  # type: ignore[attr-defined] # a mark for the test above
    message_class._load_properties = guarded  # noqa: SLF001
