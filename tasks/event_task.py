"""What both event tasks share: strictness is the intake's, patience with Redis is here.

An event is acknowledged only after it was recorded. While Redis is away or full the task waits, and then
gives the message back to the queue, so a worker that stops does not wait for Redis.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from celery import Task
from celery.exceptions import Reject

from tasks.event_request import IN_HAND
from worker.celery_worker.app import app
from worker.errors import InvalidEvent
from worker.intake.accept import Rejection, readable
from worker.ledger import LEDGER_UNAVAILABLE
from worker.services import Services
from worker.telemetry.logs import get_logger
from worker.telemetry.sentry import report_unexpected

PATIENCE_SECONDS = 20.0
PAUSE_SECONDS = 0.5

log = get_logger(__name__)


class EventTask(Task):  # type: ignore[type-arg] # generic in the stubs alone
    """An event's message: kept until it is recorded, shown nowhere."""

    abstract = True
    Request = "tasks.event_request:EventRequest"
    typing = False  # wrong arguments are for the review list, not for a TypeError
    acks_late = True
    reject_on_worker_lost = True
    acks_on_failure_or_timeout = False
    ignore_result = True


def take_in(task: EventTask, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Record one message, then wake a reconciler; raises Reject when Redis stays away."""
    with app.deliveries().in_hand(getattr(task.request, IN_HAND, None) or ""):
        _record(task, args, kwargs)


def _record(task: EventTask, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    services = app.services()
    gives_up_at = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            services.intake.accept_celery(str(task.name), args, kwargs, str(task.request.id))
        except LEDGER_UNAVAILABLE as error:
            if app.shutdown.is_stopping or time.monotonic() >= gives_up_at:
                raise Reject(type(error).__name__, requeue=True) from None
            log.warning("intake_waited", error=type(error).__name__)
            time.sleep(PAUSE_SECONDS)
        except Exception as error:  # noqa: BLE001 - whatever it is, the event is kept
            _set_aside(task, args, kwargs, error)
            return
        else:
            break
    wake(services)


def _set_aside(task: EventTask, args: Sequence[Any], kwargs: Mapping[str, Any], error: Exception) -> None:
    """Keep a message that breaks us, a fault of ours, for review: Celery would drop it."""
    log.error("event_broke_intake", exc_info=error)
    report_unexpected(error, where=str(task.name))
    reason = f"event: could not be taken in ({type(error).__name__})"
    body = readable({"type": task.name, "args": list(args), "kwargs": kwargs})
    try:
        app.services().intake.reject([Rejection(InvalidEvent(reason), "celery", body, must_keep=True)])
    except Exception as failure:  # noqa: BLE001 - back to the queue, then
        raise Reject(type(failure).__name__, requeue=True) from None


def wake(services: Services) -> None:
    """Have somebody woken if work waits; that it cannot be told now costs a second."""
    try:
        app.wake(services)
    except Exception as error:  # noqa: BLE001 - the event is safe; the next pulse wakes somebody
        log.info("wake_up_not_sent", error=type(error).__name__)
