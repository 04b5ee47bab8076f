"""What the watchdog looks at of Celery's own: its event loop, its consumer, and the queues this consumes."""

from collections.abc import Sequence
from typing import Any

from celery.worker import state

from worker.broker.probe import BrokerProbe, RabbitProbe
from worker.celery_worker.watchdog import Part
from worker.telemetry.logs import get_logger

log = get_logger(__name__)


def celery_parts(worker: Any, broker: BrokerProbe | RabbitProbe) -> list[Part]:
    """Return the event loop, which should turn, the consumer, which should take what waits, and its queues.

    Call it when the worker starts: what it is to consume then is what it should consume for as long as it lives.
    """
    progress = worker.app.progress
    expected = tuple(worker.app.amqp.queues.consume_from)

    def has_room() -> bool:
        return len(state.reserved_requests) < int(worker.concurrency)

    def has_messages() -> bool:
        return bool(broker.queued(expected))

    return [
        Part("celery", lambda: progress.of("celery"), broker.answers),
        Part("consumer", lambda: progress.of("consumer"), lambda: has_room() and has_messages()),
        Part("queues", lambda: None, lambda: _asks_for_missing(worker.consumer, expected)),
    ]


def _asks_for_missing(consumer: Any, expected: Sequence[str]) -> bool:
    """Have Celery consume again what it left; return whether there was any. Without a connection nothing is missing."""
    tasks = consumer.task_consumer
    if consumer.connection is None or tasks is None:
        return False
    missing = [name for name in expected if not tasks.consuming_from(name)]
    for name in missing:
        log.error("queue_not_consumed", queue=name)
        consumer.call_soon(consumer.add_task_queue, name)
    return bool(missing)
