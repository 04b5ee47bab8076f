"""Answers `celery inspect`, and nothing that would change a worker: anyone who may publish on the broker could ask it.

A question is answered on the exchange for answers alone, PER_SECOND of them at most, and no answer holds a secret.
"""

import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal

from celery.app.control import Control
from kombu import pidbox
from pydantic import BaseModel, Field, ValidationError

from worker.events.channels import EVENTS_QUEUE
from worker.telemetry.logs import get_logger

QUESTIONS = frozenset({
    "ping", "active", "reserved", "scheduled", "query_task", "revoked", "registered", "active_queues", "stats", "clock",
    "dump_active", "dump_reserved", "dump_schedule", "dump_revoked", "dump_tasks",
    "enable_events", "disable_events",
})  # fmt: skip
"""What is answered. The last two switch task events on and off, as Flower does: they change only what monitors see,
no event holds an argument, and what a monitor cannot take is dropped.

Not among them, though Celery calls them questions: `conf` and `report` (settings), `hello` (revokes tasks), and
`memsample`, `memdump`, `objgraph` (memory and files).
"""
PER_SECOND = 50
LOG_SECONDS = 60

log = get_logger(__name__)


class _ReplyTo(BaseModel):
    exchange: str
    routing_key: str = Field(min_length=1, max_length=100)


class _Question(BaseModel):
    """A message of remote control. Patterns are not taken: Celery reads one as a regular expression of any cost."""

    method: str
    arguments: dict[str, Any] | None = None
    destination: list[str] | None = None
    pattern: Literal[""] | None = None
    reply_to: _ReplyTo | None = None
    ticket: str | None = Field(default=None, max_length=100)


class QuietNode(pidbox.Node):
    """A worker's mailbox."""

    hostname: str
    mailbox: Any
    handlers: Any
    state: Any
    reply: Any

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._second, self._answered = 0, 0
        self._refused, self._logs_at = 0, 0.0

    def handle_message(self, body: Any, message: Any = None) -> None:
        """Answer a question to this worker; whatever else it is changes nothing. Raises what sending raises."""
        del message  # its headers count for nothing
        try:
            question = _Question.model_validate(body)
        except ValidationError:
            self._refuse("not_understood")
            return
        if question.destination and self.hostname not in question.destination:
            return
        to = question.reply_to
        if to and to.exchange != self.mailbox.reply_exchange.name:
            self._refuse("reply_to_elsewhere")  # a worker may write where the sender may not
        elif not self._has_time():
            self._refuse("too_many")
        else:
            found = self._answer(question.method, question.arguments or {})
            if to:
                self.reply({self.hostname: found}, to.exchange, to.routing_key, question.ticket)

    def _answer(self, method: str, arguments: Mapping[str, Any]) -> Any:
        if method not in QUESTIONS:
            self._refuse("not_answered")
            return {"error": "remote control is off, but for questions that change nothing: docs/operating.md"}
        try:
            found = self.handlers[method](self.state, **arguments)
        except Exception as error:  # noqa: BLE001 - the arguments are anybody's
            return {"error": type(error).__name__}
        return self._with_readers(method, found)

    def _with_readers(self, method: str, found: Any) -> Any:
        """Add what this worker's readers read in Celery's place, and how many messages of each type they took in."""
        app: Any = getattr(self.state, "app", None)
        reads = getattr(app, "reads", ())
        if method == "stats":
            found.pop("broker", None)  # its options and alternatives hold passwords
            if reads:
                found |= {"readers": list(reads), "total": dict(app.task_dispatch.accepted + Counter(found["total"]))}
        elif method == "active_queues" and EVENTS_QUEUE in reads:
            found = [*found, dict(app.amqp.queues[EVENTS_QUEUE].as_dict(recurse=True))]
        return found

    def _has_time(self) -> bool:
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._answered = second, 0
        self._answered += 1
        return self._answered <= PER_SECOND

    def _refuse(self, reason: str) -> None:
        """Count, and log the first one of a minute with the count since the last line."""
        self._refused += 1
        if time.monotonic() >= self._logs_at:
            log.warning("remote_control_refused", reason=reason, count=self._refused)
            self._refused, self._logs_at = 0, time.monotonic() + LOG_SECONDS


class QuietMailbox(pidbox.Mailbox):
    """Makes such nodes."""

    node_cls = QuietNode


class QuietControl(Control):
    """The app's `control`, for its workers; as a client it is Celery's own."""

    Mailbox = QuietMailbox
