"""Reads the queue `account-events` on RabbitMQ in Celery's place; records events and rejects all else.

As on Redis, a thread of the worker's parent takes events in together (docs/adr/0013). A message is acknowledged after
it was recorded or rejected. RabbitMQ redelivers what a dead worker had not acknowledged; such a message is counted and
handled alone, because it may have killed the worker. `rabbitmq_message.py` decides what a message is.
"""

import contextlib
import os
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import amqp
from amqp.exceptions import AMQPError
from kombu.exceptions import OperationalError

from worker.broker.rabbitmq import ANSWER_SECONDS, HEARTBEAT_SECONDS, connect, declare
from worker.errors import InvalidEvent
from worker.events.channels import EVENTS_QUEUE
from worker.events.contract import decode_documents, is_batch
from worker.intake.accept import Intake, Rejection
from worker.intake.celery_envelope import body_of, original
from worker.intake.celery_message import JSON, Foreign
from worker.intake.messages import CeleryMessage, to_json
from worker.intake.poison import Deliveries, Treatment, handle_or_set_aside, treatment
from worker.intake.rabbitmq_message import PlainEvents, is_plain, read_delivery
from worker.intake.redis_stream import BLOCK_MS, READ_AT_MOST, READ_BYTES, TAKE_IN_BYTES
from worker.ledger import LEDGER_UNAVAILABLE
from worker.telemetry.logs import get_logger

LOST = (AMQPError, OSError)
"""Errors of a broken connection; py-amqp raises an AttributeError for one that was closed before."""

log = get_logger(__name__)


class RabbitReader:
    """One worker's reader of the queue of events; `step` is repeated by one thread."""

    source = "queue"
    reads = EVENTS_QUEUE
    unreachable = "ledger_unreachable"
    """The log event when Redis is away; for RabbitMQ it is `broker_unreachable`."""

    def __init__(
        self,
        url: str,
        intake: Intake,
        deliveries: Deliveries,
        *,
        on_recorded: Callable[[], None],
    ) -> None:
        self._url = url
        self._intake = intake
        self._deliveries = deliveries
        self._on_recorded = on_recorded
        self._connection: Any = None
        self._channel: Any = None
        self._outgoing: Any = None
        self._held: list[Any] = []
        self._in_hand = ""
        self._deaths = 0
        _leave_to_parent(self)

    def step(self) -> int:
        """Take in the messages that are there, waiting up to BLOCK_MS for one; returns their number.

        Raises RedisError while the ledger is away: held messages are tried again. Raises OperationalError while
        RabbitMQ is away: it redelivers held messages.
        """
        try:
            if self._connection is None:
                self._open()
            self._receive()
            self._connection.heartbeat_check()
            return self._take_in_held()
        except LEDGER_UNAVAILABLE:
            raise
        except (OperationalError, AttributeError, *LOST) as error:
            self._close()
            raise OperationalError(type(error.__cause__ or error).__name__) from None
        except Exception:  # a bug, or a connection in an unexpected state: reconnect
            self._close()
            raise

    def leave(self) -> None:
        """Sign off in good order, which is not counted as a death; RabbitMQ redelivers held messages."""
        self._deliveries.put_down(self._in_hand)

    def _open(self) -> None:
        self._connection = connect(self._url, heartbeat_seconds=HEARTBEAT_SECONDS)
        declare(self._connection)
        self._channel = self._connection.channel()
        self._channel.basic_qos(0, READ_AT_MOST, False)  # noqa: FBT003 - quorum queues have no global QoS
        self._channel.basic_consume(EVENTS_QUEUE, callback=self._arrived)
        self._outgoing = self._connection.channel()  # a second channel: waiting for a confirmation also receives

    def _arrived(self, raw: Any) -> None:
        self._held.append(self._channel.message_to_python(raw))

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        self._held.clear()  # unanswered, so RabbitMQ redelivers them
        self._deliveries.put_down(self._in_hand)  # a lost connection is not a death
        self._in_hand = ""
        with contextlib.suppress(Exception):  # it is broken already
            connection.collect()

    def _receive(self) -> None:
        """Receive up to READ_BYTES; further messages wait in the socket and at the broker."""
        seconds = 0 if self._held else BLOCK_MS / 1000
        while sum(map(_size, self._held)) < READ_BYTES:
            try:
                self._connection.drain_events(timeout=seconds)
            except TimeoutError:
                return
            seconds = 0

    def _take_in_held(self) -> int:
        count = 0
        while self._held:
            portion = _portion(self._held)
            if _came_again(portion[0]):
                self._take_in_alone(portion[0])
            else:
                self._take_in(portion)
            self._channel.basic_ack(portion[-1].delivery_tag, multiple=True)
            del self._held[: len(portion)]
            count += len(portion)
        if count:
            self._on_recorded()
        return count

    def _take_in_alone(self, message: Any) -> None:
        """Handle a redelivered message as `poison.py` decides; counted before it is touched."""
        body = body_of(message)
        name = self._deliveries.name_of(str(message.headers.get("id", "")), body)
        if name != self._in_hand:  # else an earlier step counted it, and could not record it
            self._deaths = self._deliveries.take_in_hand(name)
            self._in_hand = name
        is_batch_of_events = is_batch(body) and is_plain(message)
        decided = treatment(self._deaths, is_batch=is_batch_of_events)
        if decided is Treatment.SET_ASIDE:
            self._set_aside(message, Deliveries.REASON)
        elif not (decided is Treatment.SPLIT and self._split(body)):
            self._take_in([message])
        self._deliveries.let_go(name)
        self._in_hand = ""

    def _split(self, body: bytes) -> bool:
        """Publish each event of a batch as a message of its own; False: the batch cannot be decoded.

        RabbitMQ confirms each event before the batch is acknowledged. A crash between the two leaves duplicates.
        """
        try:
            events = [to_json(document) for document in decode_documents(body)]
        except InvalidEvent:
            return False
        for event in events:
            self._publish(event)
        return True

    def _take_in(self, messages: Sequence[Any]) -> None:
        """Record or reject messages together; one that raises is set aside, so that it holds up no other."""
        passes = (*LEDGER_UNAVAILABLE, *LOST)
        handle_or_set_aside(messages, self._record, self._set_aside, where=self.source, passes=passes)

    def _set_aside(self, message: Any, reason: str) -> None:
        """Keep a message on the review list beyond its limits, because it may hold valid events."""
        kept, _ = original(message)
        self._intake.reject([Rejection(InvalidEvent(reason), self.source, kept, must_keep=True)])

    def _record(self, messages: Sequence[Any]) -> None:
        found = [read_delivery(message) for message in messages]
        self._intake.accept_messages([each for each in found if isinstance(each, CeleryMessage)])
        if plain := [each.body for each in found if isinstance(each, PlainEvents)]:
            self._intake.accept_bodies(plain)
        foreign = [each for each in found if isinstance(each, Foreign)]
        self._intake.reject(Rejection(InvalidEvent(each.reason), self.source, each.body) for each in foreign)

    def _publish(self, event: bytes) -> None:
        """Publish an event to its queue; returns when RabbitMQ has confirmed it.

        The producer's headers and properties are left out: RabbitMQ would act on some with our permissions (`CC`,
        `BCC`), refuse others (`user_id`), and lose the event for some (`expiration`).
        """
        message = amqp.Message(event, content_type=JSON, content_encoding="utf-8", delivery_mode=2)
        self._outgoing.basic_publish_confirm(message, routing_key=EVENTS_QUEUE, confirm_timeout=ANSWER_SECONDS)


def _came_again(message: Any) -> bool:
    return bool(message.delivery_info.get("redelivered"))


def _portion(held: Sequence[Any]) -> Sequence[Any]:
    """Return the messages before a redelivered one, up to TAKE_IN_BYTES; a redelivered one alone if it is first."""
    size = 0
    for count, message in enumerate(held):
        if _came_again(message):
            return held[: max(count, 1)]
        size += _size(message)
        if size >= TAKE_IN_BYTES:
            return held[: count + 1]
    return held


def _size(message: Any) -> int:
    return len(message.body or b"")


def _leave_to_parent(reader: RabbitReader) -> None:
    """Close our connection in children forked later, so that RabbitMQ notices at once when the parent dies."""
    of_reader = weakref.ref(reader)

    def in_child() -> None:
        connection: Any = getattr(of_reader(), "_connection", None)
        with contextlib.suppress(OSError, AttributeError):  # there is no connection
            os.close(connection._connection._transport.sock.detach())  # noqa: SLF001 - kombu and py-amqp keep it private

    os.register_at_fork(after_in_child=in_child)
