"""Celery's consumer, which rejects a message where Celery would delete it.

A message on any of our queues that is not one of our tasks (not JSON, another task, any bytes) is kept as a dead
letter, its bytes sealed, its reason without content; then it is acknowledged. While the ledger cannot keep it, the
message stays with the broker and is delivered again after a pause.
"""

from collections.abc import Callable
from typing import Any

from celery.worker.consumer import Consumer
from kombu.asynchronous import get_event_loop
from kombu.transport import virtual

from worker.errors import InvalidEvent
from worker.intake.accept import Rejection
from worker.intake.bounded_decoding import why_not_decoded
from worker.intake.celery_envelope import body_of, original
from worker.intake.poison import Deliveries
from worker.redis_client.error_messages import in_log
from worker.telemetry.logs import get_logger

GIVE_BACK_SECONDS = 2.0

log = get_logger(__name__)


class CarefulConsumer(Consumer):
    """The consumer class of every worker, by the setting `worker_consumer`."""

    app: Any
    connection_errors: tuple[type[BaseException], ...]
    channel_errors: tuple[type[BaseException], ...]
    task_consumer: Any

    def __init__(self, *args: Any, **options: Any) -> None:
        # Gossip and mingle trust every client of the broker, for example about which tasks are revoked.
        super().__init__(*args, **options | {"without_gossip": True, "without_mingle": True})

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Set aside a message that cannot be decoded (not JSON, for one); drop one of remote control."""
        if message.channel is self.task_consumer.channel:
            self.set_aside(message, f"message: {why_not_decoded(exc)}", is_foreign=True)

    def on_unknown_message(self, body: Any, message: Any) -> None:
        """Set aside a message that names no task."""
        del body
        self.set_aside(message, "message: names no task", is_foreign=True)

    def on_unknown_task(self, body: Any, message: Any, exc: Exception) -> None:
        """Set aside a message that names a task that this worker does not have."""
        del body, exc
        self.set_aside(message, "message: names a task that this worker does not have", is_foreign=True)

    def on_invalid_task(self, body: Any, message: Any, exc: Exception) -> None:
        """Set aside a message whose body is not [args, kwargs, embed]."""
        del body
        self.set_aside(message, f"message: is not a valid task ({type(exc).__name__})", is_foreign=True)

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Any], Any]:
        """Return Celery's handler, wrapped: a message that killed workers, or makes the handler raise, is set aside."""
        handle = super().create_task_handler(*args, **kwargs)
        # kombu lists KeyError as a channel error; a message without an `id` would make Celery reconnect forever.
        lost = tuple(kind for kind in (*self.connection_errors, *self.channel_errors) if kind is not KeyError)

        def on_task_received(message: Any) -> Any:
            self.app.progress.made("consumer")
            try:
                with self.app.deliveries().in_hand(came_again(self.app, message)) as is_deadly:
                    return self.set_aside(message, Deliveries.REASON) if is_deadly else handle(message)
            except lost:
                raise
            except Exception as error:
                if message.acknowledged:
                    raise
                log.exception("message_failed_unexpectedly")
                return self.set_aside(message, f"message: could not be handled ({type(error).__name__})")

        return on_task_received

    def set_aside(self, message: Any, reason: str, *, is_foreign: bool = False) -> None:
        """Keep a message for review and acknowledge it."""
        set_aside(self.app, message, reason, self.connection_errors, is_foreign=is_foreign)


def came_again(app: Any, message: Any) -> str:
    """Return the name that counts a redelivered message (see `poison.py`); empty for a first delivery."""
    if not (message.delivery_info or {}).get("redelivered"):
        return ""
    headers = message.headers if isinstance(message.headers, dict) else {}
    return str(app.deliveries().name_of(str(headers.get("id", "")), body_of(message)))


def set_aside(
    app: Any,
    message: Any,
    reason: str,
    connection_errors: tuple[type[BaseException], ...],
    *,
    is_foreign: bool = False,
) -> None:
    """Keep a message for review and acknowledge it; while the ledger cannot keep it, leave it with the broker.

    A foreign message holds no event, so the limits of the review list apply to it.
    """
    body, fault = original(message)
    try:
        rejection = Rejection(InvalidEvent(fault or reason), "queue", body, must_keep=not is_foreign)
        app.services().intake.reject([rejection])
    except Exception as error:  # noqa: BLE001 - whatever it is, the message must not be dropped
        log.warning("message_not_kept_yet", **in_log(error))
        leave_with_broker(message, connection_errors)
    else:
        message.ack_log_error(log, connection_errors)


def leave_with_broker(message: Any, connection_errors: tuple[type[BaseException], ...]) -> None:
    """Neither acknowledge nor reject a message yet. Redis redelivers it after the visibility timeout.

    RabbitMQ would redeliver a rejected message at once, in a loop, and an unanswered one only when the connection ends.
    So on RabbitMQ it is rejected after a pause.
    """
    channel = message.channel
    if isinstance(channel, virtual.Channel):
        virtual.QoS.ack(channel.qos, message.delivery_tag)  # frees its prefetch slot, and nothing else
    elif (hub := get_event_loop()) is not None:
        hub.call_later(GIVE_BACK_SECONDS, message.reject_log_error, log, connection_errors, True)  # noqa: FBT003
