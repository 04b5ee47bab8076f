"""The messages of intake before their events are validated: a Celery message, or one CloudEvent of a decoded body."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from worker.events.contract import LifecycleEvent, decode_documents
from worker.intake.origin import Claimed


class CeleryMessage(NamedTuple):
    """A Celery message: its task's name, arguments and id."""

    type: str
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    task_id: str

    @property
    def source(self) -> str:
        """The `source` that a dead letter shows."""
        return "celery"

    @property
    def time_field(self) -> str:
        """The field that holds the event's time."""
        return "occurred_at"

    def event(self, default_instance: str) -> LifecycleEvent:
        """Return the event; its id defaults to the task's. Raises InvalidEvent."""
        return LifecycleEvent.from_celery(self.type, self._arguments(), default_instance, args=self.args)

    def body(self) -> bytes:
        """Return the bytes that the dead letter keeps if the message is rejected."""
        return to_json({"type": self.type, "args": list(self.args), "kwargs": self._arguments()})

    def claimed(self) -> Claimed:
        """Return what the message says about itself, for the dead letter."""
        given = self.kwargs
        content = {**given, "login (positional)": self.args}
        return Claimed(given.get("event_id"), None, given.get("account_id"), content, self.task_id)

    def _arguments(self) -> Mapping[str, Any]:
        if self.kwargs.get("event_id") is not None:
            return self.kwargs
        return {**self.kwargs, "event_id": self.task_id}


class CloudEventMessage(NamedTuple):
    """A decoded CloudEvent, and what to keep if it is rejected: itself, or its body if that holds no other event."""

    document: object
    kept: object

    @property
    def source(self) -> str:
        """The `source` that a dead letter shows."""
        return "stream"

    @property
    def time_field(self) -> str:
        """The field that holds the event's time."""
        return "time"

    @property
    def type(self) -> str:
        """The event's declared type; empty if that is not text."""
        found = self.document.get("type") if isinstance(self.document, dict) else None
        return found if isinstance(found, str) else ""

    def event(self, default_instance: str) -> LifecycleEvent:
        """Return the event; raises InvalidEvent."""
        return LifecycleEvent.from_cloudevent(self.document, default_instance)

    def body(self) -> bytes:
        """Return the bytes that the dead letter keeps if the event is rejected."""
        return to_json(self.kept)

    def claimed(self) -> Claimed:
        """Return what the event says about itself, for the dead letter."""
        document = self.document if isinstance(self.document, dict) else {}
        return Claimed(document.get("id"), document.get("source"), document.get("subject"), document)


EventMessage = CeleryMessage | CloudEventMessage


def read_body(body: bytes) -> list[CloudEventMessage]:
    """Return the events of a body, one CloudEvent or an array; raises InvalidEvent if it is not JSON."""
    documents = decode_documents(body)
    if len(documents) == 1:
        return [CloudEventMessage(documents[0], body)]
    return [CloudEventMessage(document, document) for document in documents]


def to_json(document: object) -> bytes:
    """Return a message as JSON that a replay reads, and bytes unchanged; never raises."""
    if isinstance(document, bytes):
        return document
    try:
        text = json.dumps(document, ensure_ascii=False, default=str)
    except RecursionError:  # only a Celery message can be nested like that
        text = '{"type": "", "args": ["nested too deeply to be kept"], "kwargs": {}}'
    return text.encode("utf-8", "surrogatepass")
