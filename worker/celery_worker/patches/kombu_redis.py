"""Keeps a worker alive on kombu's Redis transport: corrects four faults of kombu 5.7.0, each of which ends a worker.

1. Lost connection: kombu closes a channel whose transport has lost its client, and fails with an AttributeError. The
   patch raises a ConnectionError instead, after which Celery reconnects.
2. Queue item that is not JSON or not a Celery message: kombu pops it, then fails to decode it. The patch checks each
   item first and wraps it if kombu could not decode it (`worker/intake/celery_envelope.py`); then it is rejected.
3. Full Redis: it refuses every MULTI, so kombu can neither acknowledge a message nor secure one that it has popped.
   The patch acknowledges without MULTI, and returns a popped message to its list.
4. Remote-control message that kombu cannot decode: it ends every worker at once. The patch drops it; it holds no event.

Remove each patch when kombu has fixed its fault.
"""

import json
import time
from queue import Empty
from typing import Any

import redis
from kombu.transport import redis as kombu_redis
from kombu.transport import virtual

from worker.broker.celery_config import KOMBU_SEPARATOR
from worker.intake.bounded_decoding import guard_decoding
from worker.intake.celery_envelope import decode_envelope, envelope_for_kombu
from worker.telemetry.logs import get_logger

FULL_PAUSE_SECONDS = 1.0

MAX_CONTROL_BYTES = 65_536
"""Limit of one remote-control message; a real one has less than a thousand bytes."""


log = get_logger(__name__)


def guard_kombu() -> None:
    """Patch kombu's Redis channel and its message bookkeeping, once."""
    channel_class: Any = kombu_redis.Channel
    if getattr(channel_class, "is_guarded", False):
        return
    channel_class.is_guarded = True
    guard_decoding()
    _guard_parameters(channel_class)
    _guard_items(channel_class)
    _guard_control(channel_class)
    _guard_full_redis(kombu_redis.QoS)


def _guard_parameters(channel_class: Any) -> None:
    original = channel_class._connparams  # noqa: SLF001 - the faulty function is private

    def guarded(channel: Any, *args: Any, **options: Any) -> Any:
        if channel.connection is None or channel.connection.client is None:
            raise redis.ConnectionError("the transport was closed")
        return original(channel, *args, **options)

    channel_class._connparams = guarded  # noqa: SLF001


def _guard_items(channel_class: Any) -> None:
    original = channel_class._create_client  # noqa: SLF001 - it creates the client that pops

    def guarded(channel: Any, **options: Any) -> Any:
        client = original(channel, **options)
        client.set_response_callback("BRPOP", _checked)
        return client

    channel_class._create_client = guarded  # noqa: SLF001


def _checked(reply: Any, **_: Any) -> tuple[bytes, bytes] | None:
    """Return BRPOP's reply with an item that kombu can decode."""
    if not reply:
        return None
    key, item = reply
    return key, envelope_for_kombu(item, key.decode().rsplit(KOMBU_SEPARATOR, 1)[0])


def _guard_control(channel_class: Any) -> None:
    original = channel_class._handle_message  # noqa: SLF001 - it decodes what a subscription received

    def guarded(channel: Any, client: Any, reply: Any) -> Any:
        found = original(channel, client, reply)
        data = found["data"]
        if isinstance(data, bytes) and (len(data) > MAX_CONTROL_BYTES or decode_envelope(data)[1]):
            found["data"] = None  # kombu skips it
        return found

    channel_class._handle_message = guarded  # noqa: SLF001


def _guard_full_redis(qos_class: Any) -> None:
    append, reject, can_consume = qos_class.append, qos_class.reject, qos_class.can_consume

    def secured(qos: Any, message: Any, delivery_tag: str) -> None:
        try:
            append(qos, message, delivery_tag)
        except redis.exceptions.OutOfMemoryError:
            _put_back(qos.channel, message)
            if not getattr(qos, "resumes_at", 0):
                log.warning("broker_full", effect="intake waits; no message is dropped")
            qos.resumes_at = time.monotonic() + FULL_PAUSE_SECONDS
            raise Empty from None  # as if BRPOP had found nothing
        if getattr(qos, "resumes_at", 0):
            log.info("broker_has_room")
            qos.resumes_at = 0

    def acknowledged(qos: Any, delivery_tag: str, pipe: Any = None) -> Any:
        with qos.channel.conn_or_acquire() as client:
            plain = client.pipeline(transaction=False) if pipe is None else pipe
            # The index last: kombu removes an index entry without a message.
            return plain.hdel(qos.unacked_key, delivery_tag).zrem(qos.unacked_index_key, delivery_tag)

    def rejected(qos: Any, delivery_tag: str, **options: Any) -> None:
        try:
            reject(qos, delivery_tag, **options)
        except redis.exceptions.OutOfMemoryError:
            # The message stays secured and is delivered again after the visibility timeout. Free its prefetch slot.
            virtual.QoS.ack(qos, delivery_tag)

    def may_consume(qos: Any) -> bool:
        return bool(time.monotonic() >= getattr(qos, "resumes_at", 0) and can_consume(qos))

    qos_class.append, qos_class.reject, qos_class.can_consume = secured, rejected, may_consume
    qos_class._remove_from_indices = acknowledged  # noqa: SLF001 - ack and reject call it


def _put_back(channel: Any, message: Any) -> None:
    """Put a popped message back. A full Redis completes a script whose first write needs no memory."""
    priority = channel._get_message_priority(message._raw, reverse=False)  # noqa: SLF001 - as kombu restores
    key = channel._q_for_pri(message.delivery_info["routing_key"], priority)  # noqa: SLF001 - the same
    with channel.conn_or_acquire() as client:
        client.eval(
            "redis.call('DEL', KEYS[2]) redis.call('RPUSH', KEYS[1], ARGV[1])",
            2,
            key,
            "nightly:put-back",
            json.dumps(message._raw, default=str),  # noqa: SLF001 - the envelope as it came
        )
