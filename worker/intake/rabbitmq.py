"""Reads the queue `account-events` where the broker is RabbitMQ, in Celery's place (docs/adr/0013).

As on Redis, a thread of the worker's parent takes events in together, whatever the pool is busy with. A message is
acknowledged after it was recorded; what an ended worker had not acknowledged comes again, marked as such, and is then
taken in alone and counted, because it may be what ended it.
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
"""What a broken connection raises; where it was closed already, py-amqp raises an AttributeError."""

log = get_logger(__name__)


class RabbitReader:
    """One worker's reader of the queue of events; `step` is repeated by one thread."""

    source = "queue"
    reads = EVENTS_QUEUE
    unreachable = "ledger_unreachable"
    """What the log says when Redis is away; of RabbitMQ it says `broker_unreachable`."""

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
        """Take in what there is, waiting a moment for it; returns how many messages.

        Raises RedisError while the ledger is away: what is held is tried again. Raises OperationalError while
        RabbitMQ is: it delivers again what was held.
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
        except Exception:  # a fault of ours, or a connection in a state that nobody foresaw: begin anew
            self._close()
            raise

    def leave(self) -> None:
        """Say that this reader ends, which is no death; RabbitMQ delivers again what it still holds."""
        self._deliveries.put_down(self._in_hand)

    def _open(self) -> None:
        self._connection = connect(self._url, heartbeat_seconds=HEARTBEAT_SECONDS)
        declare(self._connection)
        self._channel = self._connection.channel()
        self._channel.basic_qos(0, READ_AT_MOST, False)  # noqa: FBT003 - a quorum queue knows no other kind
        self._channel.basic_consume(EVENTS_QUEUE, callback=self._arrived)
        self._outgoing = self._connection.channel()  # of its own: to wait for a confirmation means to receive, too

    def _arrived(self, raw: Any) -> None:
        self._held.append(self._channel.message_to_python(raw))

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        self._held.clear()  # without our answer all of it is delivered again
        self._deliveries.put_down(self._in_hand)  # and that is no death
        self._in_hand = ""
        with contextlib.suppress(Exception):  # what is broken already may break once more
            connection.collect()

    def _receive(self) -> None:
        """Take up to READ_BYTES off the connection; what is behind them waits there, and at the broker."""
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
        """Take in a redelivered message as `poison.py` decides; it is counted before it is touched."""
        body = body_of(message)
        name = self._deliveries.name_of(str(message.headers.get("id", "")), body)
        if name != self._in_hand:  # else the ledger would not take it a moment ago, which is no death
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
        """Publish each event of a batch as a message of its own; False: it cannot be decoded.

        RabbitMQ confirms each of them before the batch is acknowledged. A death between the two costs duplicates.
        """
        try:
            events = [to_json(document) for document in decode_documents(body)]
        except InvalidEvent:
            return False
        for event in events:
            self._publish(event)
        return True

    def _take_in(self, messages: Sequence[Any]) -> None:
        """Record messages together; one that breaks us is set aside, so that it stops no other."""
        passes = (*LEDGER_UNAVAILABLE, *LOST)
        handle_or_set_aside(messages, self._record, self._set_aside, where=self.source, passes=passes)

    def _set_aside(self, message: Any, reason: str) -> None:
        """Keep a message for review although it may hold events that are valid, whatever the limits say."""
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

        Nothing of its producer's message goes with it: RabbitMQ obeys some headers and properties with our rights
        (`CC`, `BCC`), refuses others (`user_id`), and some would lose it (`expiration`).
        """
        message = amqp.Message(event, content_type=JSON, content_encoding="utf-8", delivery_mode=2)
        self._outgoing.basic_publish_confirm(message, routing_key=EVENTS_QUEUE, confirm_timeout=ANSWER_SECONDS)


def _came_again(message: Any) -> bool:
    return bool(message.delivery_info.get("redelivered"))


def _portion(held: Sequence[Any]) -> Sequence[Any]:
    """Return the first messages, up to TAKE_IN_BYTES, of those that came the first time; else one."""
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
    """Let a child that is forked later not hold our connection open: RabbitMQ must see at once that a parent died."""
    of_reader = weakref.ref(reader)

    def in_child() -> None:
        connection: Any = getattr(of_reader(), "_connection", None)
        with contextlib.suppress(OSError, AttributeError):  # there is none, or not any more
            os.close(connection._connection._transport.sock.detach())  # noqa: SLF001 - kombu and py-amqp show it nowhere

    os.register_at_fork(after_in_child=in_child)
