"""Passes the readers' messages to the Celery task of their type, in batches, and counts them by type."""

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from worker.intake.accept import EventOutcome
from worker.intake.messages import EventMessage


class TaskDispatch:
    """The `dispatch` of a worker's intake. `app` is the Celery app, whose tasks are the registry of types."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.accepted: Counter[str] = Counter()
        """Messages that were recorded or rejected, by type."""

    def __call__(self, messages: Sequence[EventMessage]) -> list[EventOutcome]:
        """Pass each message to its type's task; the intake rejects types without a task. Raises their errors."""
        batches: dict[str, list[EventMessage]] = {}
        for message in messages:
            batches.setdefault(message.type, []).append(message)
        outcomes: list[EventOutcome] = []
        for event_type, batch in batches.items():
            task = self._app.tasks.get(event_type)
            if hasattr(task, "accept"):
                outcomes += self._accept(task, batch)
            else:
                outcomes += self._app.services().intake.accept_batch(batch)
        return outcomes

    def _accept(self, task: Any, batch: Sequence[EventMessage]) -> Sequence[EventOutcome]:
        began = time.time()
        outcomes: Sequence[EventOutcome] = task.accept(batch)
        self.accepted[task.name] += len(batch)
        if self._app.task_events.is_on:
            self._app.task_events.add(task.name, outcomes, began=began, ended=time.time())
        return outcomes
