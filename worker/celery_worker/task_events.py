"""Sends Celery's task events for the readers' messages, so that Flower and exporters see them; off by default.

A reader adds each batch after it is recorded or rejected; a thread publishes the events. They hold a type, times and an
event's id if it may be shown, never an argument. Events that cannot be sent are dropped.
"""

import time
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from celery.app.events import Events
from celery.events import EventDispatcher

from worker.celery_worker.redacted_request import HIDDEN
from worker.errors import InvalidEvent
from worker.intake.accept import EventOutcome
from worker.telemetry.logs import get_logger

MESSAGE_EVENTS = 300
"""Maximum events in one message to the broker."""
PENDING_BATCHES = 200
"""Maximum batches that wait to be published; beyond it the oldest are dropped."""
PAUSE_SECONDS = 30.0
"""Pause after a failure: each attempt to send may block Celery's loop until its timeout."""

log = get_logger(__name__)


class DroppingDispatcher(EventDispatcher):
    """Celery's event dispatcher without retries and without the unbounded buffer for unsent events."""

    buffer_while_offline: bool

    def __init__(self, *args: Any, **options: Any) -> None:
        self._resumes_at = 0.0
        super().__init__(*args, **options)
        self.buffer_while_offline = False

    def _publish(self, event: Any, producer: Any, routing_key: str, **_: Any) -> None:
        if time.monotonic() < self._resumes_at:
            return
        try:
            super()._publish(event, producer, routing_key)  # type: ignore[misc] # missing in the stubs
        except Exception as error:  # noqa: BLE001 - whatever the broker answered
            self._resumes_at = time.monotonic() + PAUSE_SECONDS
            log.info("celery_events_dropped", error=type(error).__name__, for_seconds=PAUSE_SECONDS)


class DroppingEvents(Events):
    """The app's `events`, with this dispatcher."""

    dispatcher_cls = "worker.celery_worker.task_events:DroppingDispatcher"


class _Batch(NamedTuple):
    task: str
    ids_and_reasons: Sequence[tuple[str, str]]
    began: float
    ended: float


class TaskEvents:
    """The task events of one worker's readers; one thread repeats `step` once a second."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._worker: Any = None
        self._batches: deque[_Batch] = deque(maxlen=PENDING_BATCHES)

    def start(self, worker: Any) -> None:
        """Send events in the name of `worker` while its own dispatcher has task events enabled."""
        self._worker = worker

    @property
    def is_on(self) -> bool:
        """Whether task events are enabled, by `-E` or by remote control."""
        dispatcher = getattr(getattr(self._worker, "consumer", None), "event_dispatcher", None)
        return bool(dispatcher and dispatcher.enabled and (not dispatcher.groups or "task" in dispatcher.groups))

    def add(self, task: str, outcomes: Sequence[EventOutcome], *, began: float, ended: float) -> None:
        """Queue a batch's events for publishing; returns at once."""
        self._batches.append(_Batch(task, [_id_and_reason(outcome) for outcome in outcomes], began, ended))

    def step(self) -> None:
        """Publish the events of all queued batches. Raises the errors of connecting."""
        if not self._batches:
            return
        with self._app.connection_for_write() as connection:
            dispatcher = self._app.events.Dispatcher(
                connection, hostname=self._worker.hostname, buffer_group={"task"}, buffer_limit=MESSAGE_EVENTS
            )
            while self._batches:
                for event, fields in _events_of(self._batches.popleft()):
                    dispatcher.send(event, **fields)
            dispatcher.flush()
            dispatcher.close()


def _id_and_reason(outcome: EventOutcome) -> tuple[str, str]:
    """Return an id that may be shown (the intake masks one that holds a loginId) and the reason of a rejection."""
    reason = outcome.reason if isinstance(outcome, InvalidEvent) else ""
    return outcome.event_id or str(uuid.uuid4()), reason


def _events_of(batch: _Batch) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return three events for each message; its runtime is its share of the batch's runtime."""
    runtime = (batch.ended - batch.began) / max(len(batch.ids_and_reasons), 1)
    hidden = {"args": HIDDEN, "kwargs": HIDDEN, "retries": 0}
    for message_id, reason in batch.ids_and_reasons:
        yield "task-received", {"uuid": message_id, "timestamp": batch.began, "name": batch.task, **hidden}
        yield "task-started", {"uuid": message_id, "timestamp": batch.began}
        ended = {"uuid": message_id, "timestamp": batch.ended}
        if reason:
            yield "task-failed", {**ended, "exception": reason, "traceback": HIDDEN}
        else:
            yield "task-succeeded", {**ended, "result": HIDDEN, "runtime": runtime}
