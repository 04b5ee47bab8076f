"""The base of both event tasks: passes events that a reader or Celery delivered to `worker/intake/accept.py`.

While Redis is unreachable, a reader keeps its messages. A task that Celery delivered waits PATIENCE_SECONDS, then
returns its message to the queue; a worker that is stopping returns it at once.
"""

import time
from collections.abc import Sequence
from typing import Any

from celery import Task
from celery.exceptions import Reject

from tasks.event_request import IN_HAND
from worker.celery_worker.app import app
from worker.errors import InvalidEvent
from worker.intake.accept import EventOutcome, Rejection
from worker.intake.messages import CeleryMessage, EventMessage
from worker.intake.poison import handle_or_set_aside
from worker.ledger import LEDGER_UNAVAILABLE
from worker.services import Services
from worker.telemetry.logs import get_logger

PATIENCE_SECONDS = 20.0
PAUSE_SECONDS = 0.5

log = get_logger(__name__)


class EventTask(Task):  # type: ignore[type-arg] # generic only in the stubs
    """The task of one event type: `name` is the type, `wants_active` the wish of its events (isActivated)."""

    abstract = True
    wants_active: bool
    Request = "tasks.event_request:EventRequest"
    typing = False  # wrong arguments make a dead letter, not a TypeError
    acks_late = True
    reject_on_worker_lost = True
    acks_on_failure_or_timeout = False
    ignore_result = True
    throws = (InvalidEvent,)  # an expected failure: one line in the log, without a traceback, and none in Sentry

    def accept(self, batch: Sequence[EventMessage]) -> Sequence[EventOutcome]:
        """Record a batch of this type's events and reject invalid ones; raises LEDGER_UNAVAILABLE."""
        return app.services().intake.accept_batch(batch, wants_active=self.wants_active)

    def run(self, *args: Any, **kwargs: Any) -> None:
        """Accept one message that Celery delivered.

        Raises InvalidEvent if it was rejected: Celery's monitors show FAILURE, and EventRequest acknowledges the
        message, which is kept for review. Raises Reject if Redis stays unreachable.
        """
        message: EventMessage = CeleryMessage(str(self.name), args, kwargs, str(self.request.id))
        with app.deliveries().in_hand(getattr(self.request, IN_HAND, None) or ""):
            outcome = self._accept_patiently(message)
        if isinstance(outcome, InvalidEvent):
            raise outcome
        wake(app.services())

    def _accept_patiently(self, message: EventMessage) -> EventOutcome:
        outcomes: list[EventOutcome] = []

        def accept(batch: Sequence[EventMessage]) -> None:
            outcomes.extend(self.accept(batch))

        def set_aside(message: EventMessage, reason: str) -> None:
            error = InvalidEvent(reason)
            app.services().intake.reject(
                [Rejection(error, "celery", message.body(), must_keep=True, claimed=message.claimed())]
            )
            outcomes.append(error)

        gives_up_at = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                handle_or_set_aside([message], accept, set_aside, where=message.type)
            except LEDGER_UNAVAILABLE as error:
                if app.shutdown.is_stopping or time.monotonic() >= gives_up_at:
                    raise Reject(type(error).__name__, requeue=True) from None
                log.warning("intake_postponed", error=type(error).__name__)
                time.sleep(PAUSE_SECONDS)
            else:
                return outcomes[0]


def wake(services: Services) -> None:
    """Send a reconcile message if due work needs one; if sending fails, the next pulse sends it a second later."""
    try:
        app.wake(services)
    except Exception as error:  # noqa: BLE001 - the events are recorded; the next pulse sends the message
        log.info("reconcile_message_not_sent", error=type(error).__name__)
