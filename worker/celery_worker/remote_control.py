"""Answers `celery inspect` and refuses commands that would change a worker, because anyone on the broker can send them.

Answers go only to Celery's reply exchange, at most PER_SECOND of them, and hold no secret.
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
"""The commands that are answered. The last two switch task events on and off, as Flower does: they change only what
monitors see, no event holds an argument, and events that cannot be sent are dropped.

Refused although Celery counts them as inspection: `conf` and `report` (settings), `hello` (revokes tasks), and
`memsample`, `memdump`, `objgraph` (memory and files).
"""
PER_SECOND = 50
LOG_SECONDS = 60

log = get_logger(__name__)


class _ReplyTo(BaseModel):
    exchange: str
    routing_key: str = Field(min_length=1, max_length=100)


class _Question(BaseModel):
    """A remote-control message. Patterns are refused: Celery runs them as regular expressions, at any cost."""

    method: str
    arguments: dict[str, Any] | None = None
    destination: list[str] | None = None
    pattern: Literal[""] | None = None
    reply_to: _ReplyTo | None = None
    ticket: str | None = Field(default=None, max_length=100)


class QuietNode(pidbox.Node):
    """A worker's remote-control node."""

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
        """Answer a permitted question to this worker and ignore other messages. Raises the errors of sending."""
        del message  # its headers are ignored
        try:
            question = _Question.model_validate(body)
        except ValidationError:
            self._refuse("not_understood")
            return
        if question.destination and self.hostname not in question.destination:
            return
        reply_to = question.reply_to
        if reply_to and reply_to.exchange != self.mailbox.reply_exchange.name:
            self._refuse("reply_to_elsewhere")  # a worker may be allowed to write where the sender is not
        elif not self._has_time():
            self._refuse("too_many")
        else:
            answer = self._answer(question.method, question.arguments or {})
            if reply_to:
                self.reply({self.hostname: answer}, reply_to.exchange, reply_to.routing_key, question.ticket)

    def _answer(self, method: str, arguments: Mapping[str, Any]) -> Any:
        if method not in QUESTIONS:
            self._refuse("not_answered")
            return {"error": "remote control is off, except for questions that change nothing: docs/operating.md"}
        try:
            answer = self.handlers[method](self.state, **arguments)
        except Exception as error:  # noqa: BLE001 - any sender chooses the arguments
            return {"error": type(error).__name__}
        return self._with_readers(method, answer)

    def _with_readers(self, method: str, answer: Any) -> Any:
        """Add the sources of this worker's readers and their number of messages by type to Celery's answer."""
        app: Any = getattr(self.state, "app", None)
        reads = getattr(app, "reads", ())
        if method == "stats":
            answer.pop("broker", None)  # its options and alternatives hold passwords
            if reads:
                answer |= {"readers": list(reads), "total": dict(app.task_dispatch.accepted + Counter(answer["total"]))}
        elif method == "active_queues" and EVENTS_QUEUE in reads:
            answer = [*answer, dict(app.amqp.queues[EVENTS_QUEUE].as_dict(recurse=True))]
        return answer

    def _has_time(self) -> bool:
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._answered = second, 0
        self._answered += 1
        return self._answered <= PER_SECOND

    def _refuse(self, reason: str) -> None:
        """Count a refusal, and log at most one line a minute with the count since the last line."""
        self._refused += 1
        if time.monotonic() >= self._logs_at:
            log.warning("remote_control_refused", reason=reason, count=self._refused)
            self._refused, self._logs_at = 0, time.monotonic() + LOG_SECONDS


class QuietMailbox(pidbox.Mailbox):
    """The mailbox class that creates QuietNode."""

    node_cls = QuietNode


class QuietControl(Control):
    """The app's `control`: restricted for workers, and Celery's own as a client."""

    Mailbox = QuietMailbox
