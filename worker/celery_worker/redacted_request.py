"""Hides a message's arguments and results from everything that Celery shows of it.

With `Request = "worker.celery_worker.redacted_request:RedactedRequest"`, a task's arguments appear in no log line, no
Celery event (`task-received`, ...), no answer to `celery inspect` and no repr, even if a producer wrote them into the
`argsrepr` and `kwargsrepr` headers. The task itself runs as usual.

Celery 5.7 would otherwise show them in `Request.info` (inspect active, reserved, scheduled, query_task),
`Request.__repr__`, strategy.py (log line, `task-received`), request.py (`task-succeeded` holds the result,
`task-failed` and `task-retried` an exception's text and traceback) and, in the pool child, trace.py, which falls back
to the arguments if the header is empty. Our producers hide them in `task-sent` and in the message's own headers by
sending `argsrepr=HIDDEN, kwargsrepr=HIDDEN`.
"""

from typing import Any

from celery.worker.request import Request

from worker.telemetry.scrub import scrub_quotes

HIDDEN = "(hidden)"
"""Never empty: for an empty text, Celery shows the arguments themselves."""


class RedactedRequest(Request):
    """A request that shows no arguments."""

    def __init__(self, message: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(message, *args, **kwargs)
        self._argsrepr = self._kwargsrepr = HIDDEN
        # The child builds its context, and from that its log lines, from this dictionary.
        self.request_dict["argsrepr"] = self.request_dict["kwargsrepr"] = HIDDEN

    def info(self, safe: bool = False) -> Any:  # noqa: FBT001, FBT002 - Celery's signature
        """Return the data for `celery inspect`; with `safe`, Celery uses the hidden texts instead of the arguments."""
        del safe
        return super().info(safe=True)

    def send_event(self, type: str, **fields: Any) -> None:  # noqa: A002 - Celery's signature
        """Send a task event without result and traceback, and with a scrubbed exception."""
        super().send_event(type, **{name: _quiet(name, value) for name, value in fields.items()})


def _quiet(name: str, value: Any) -> Any:
    if name in {"result", "traceback", "args", "kwargs"}:
        return None if value is None else HIDDEN
    return scrub_quotes(str(value)) if name == "exception" else value
