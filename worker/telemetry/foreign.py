"""Rewrites log lines of libraries so that they hold no secret; Celery logs whole messages. No call raises.

A known line becomes a log event of ours with chosen fields. Any other line keeps its template with numbers, short plain
words and exception types filled in; other arguments become the name of their type. A line that arrives already
formatted loses everything in quotes. A task id is shown if it is a GUID: producers search for it, and the guide forbids
them to make one from a loginId.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from worker.guid import GUID
from worker.telemetry.scrub import MASK, scrub_exception_text, scrub_quotes, scrub_text

_TASK_LINE = "Task %(name)s[%(id)s]"
_TASK_EVENTS = {
    "received": "task_received",
    "succeeded in %(runtime)ss: %(return_value)s": "task_succeeded",
    "%(description)s: %(exc)s": "task_raised",
    "%(description)s": "task_ignored",
    "%(exc)s": "task_rejected",
    "retry: %(exc)s": "task_retried",
}
_WHOLE_MESSAGE_EVENTS = {
    "Received and deleted unknown message": "unknown_message_discarded",
    "Received invalid task message": "invalid_task_discarded",
    "Can't decode message body": "undecodable_message_discarded",
    "Could not restore message": "message_not_restored",
    "Cannot process event on channel": "control_message_discarded",
    "Couldn't convert ETA": "task_with_wrong_eta_rejected",
    "TaskPool: Apply": "task_handed_to_pool",
}
"""How lines of Celery and kombu begin that hold a message's body, headers or arguments."""
_UNREGISTERED = "Received unregistered task of type"

_GUID = re.compile(GUID, re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z_][\w.-]{0,79}", re.ASCII)
_PLAIN = re.compile(r"[^'\"`{}\[\]\n\r]{0,200}")


def describe_foreign(logger_name: str, template: str, arguments: object) -> dict[str, object]:
    """Return `event` and the fields of one line, already scrubbed."""
    if template.startswith(_TASK_LINE) and isinstance(arguments, Mapping):
        return _task_line(template, arguments)
    if template.startswith(_UNREGISTERED):
        return _unregistered(arguments)
    for beginning, event in _WHOLE_MESSAGE_EVENTS.items():
        if template.startswith(beginning):
            return {"event": event}
    if logger_name == "py.warnings":
        text = str(arguments[0]) if isinstance(arguments, tuple) and arguments else template
        return {"event": "warning_raised", "message": scrub_quotes(text.strip().partition("\n")[0])}
    return {"event": "library_reported", "message": _fill_in(template, arguments)}


def _task_line(template: str, context: Mapping[str, Any]) -> dict[str, object]:
    event = _TASK_EVENTS.get(template.removeprefix(_TASK_LINE).strip(), "task_reported")
    described: dict[str, object] = {
        "event": event,
        "task": safe_name(context.get("name")),
        "task_id": safe_task_id(context.get("id")),
    }
    if isinstance(runtime := context.get("runtime"), float):
        described["runtime_seconds"] = round(runtime, 6)
    return described


def _unregistered(arguments: object) -> dict[str, object]:
    _, _, headers, delivery = arguments if isinstance(arguments, tuple) and len(arguments) == 4 else (None,) * 4  # noqa: PLR2004 - Celery's four
    return {
        "event": "unregistered_task_discarded",
        "task": _of(headers, "task", safe_name),
        "task_id": _of(headers, "id", safe_task_id),
        "queue": _of(delivery, "routing_key", safe_name),
    }


def _of(mapping: object, key: str, rule: Callable[[object], str]) -> str:
    return rule(mapping.get(key) if isinstance(mapping, Mapping) else None)


def safe_name(value: object) -> str:
    """Return a task's or queue's name if it looks like one."""
    return scrub_text(value) if isinstance(value, str) and _NAME.fullmatch(value) else MASK


def safe_task_id(value: object) -> str:
    """Return a task id if it is a GUID, as Celery makes them."""
    return value if isinstance(value, str) and _GUID.fullmatch(value) else MASK


def _fill_in(template: str, arguments: object) -> str:
    if not arguments:
        return _one_line(scrub_quotes(template))
    try:
        if isinstance(arguments, Mapping):
            text = template % {name: _argument(value) for name, value in arguments.items()}
        elif isinstance(arguments, tuple):
            text = template % tuple(_argument(value) for value in arguments)
        else:
            text = template
    except (TypeError, ValueError, KeyError):
        text = template
    return _one_line(scrub_text(text))


def _argument(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str) and _PLAIN.fullmatch(value):
        return _Shown(scrub_text(value))
    if isinstance(value, BaseException):
        name = type(value).__name__
        return _Shown(f"{name}: {scrub_exception_text(name, str(value))}")
    return _Shown(f"[{type(value).__name__}]")


class _Shown(str):
    """Text that `%r` formats without quotes."""

    __slots__ = ()
    __repr__ = str.__str__


def _one_line(text: str) -> str:
    return " ".join(text.split())
