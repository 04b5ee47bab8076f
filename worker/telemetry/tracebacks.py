"""Formats an exception as its type, its scrubbed message and its code locations.

Reads no local variable, argument or source line. No call raises.
"""

import sys
from typing import Any

from worker.telemetry.scrub import scrub_exception_text

MAX_FRAMES = 20
"""Innermost frames kept of each exception; a worker's outer frames are always the same."""
MAX_EXCEPTIONS = 5


def describe_exception(exc_info: object) -> list[dict[str, object]]:
    """Return the exception, its causes and its group's members; `exc_info` is as `logging` takes it."""
    waiting = [_unpack(exc_info)]
    described: list[dict[str, object]] = []
    seen: set[int] = set()
    while waiting and len(described) < MAX_EXCEPTIONS:
        error, traceback = waiting.pop(0)
        if error is None or id(error) in seen:
            continue
        seen.add(id(error))
        described.append(_describe(error, traceback))
        waiting += [(each, each.__traceback__) for each in _behind(error)]
    return described


def _behind(error: BaseException) -> list[BaseException]:
    members = list(error.exceptions) if isinstance(error, BaseExceptionGroup) else []
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return [*members, cause] if cause is not None else members


def _unpack(exc_info: object) -> tuple[BaseException | None, Any]:
    if isinstance(exc_info, BaseException):
        return exc_info, exc_info.__traceback__
    if not isinstance(exc_info, tuple):
        exc_info = sys.exc_info()
    _, error, traceback = exc_info
    # In a pool child Celery passes billiard's wrapper, whose text is a whole traceback with every message.
    return getattr(error, "exc", error) if type(error).__name__ == "ExceptionWithTraceback" else error, traceback


def _describe(error: BaseException, traceback: Any) -> dict[str, object]:
    name = type(error).__name__
    return {"type": name, "message": scrub_exception_text(name, _text_of(error)), "frames": _frames(traceback)}


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - an exception whose text fails still has a type and a location
        return ""


def _frames(traceback: Any) -> list[str]:
    frames: list[str] = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        frames.append(f"{code.co_filename}:{traceback.tb_lineno} in {code.co_name}")
        traceback = traceback.tb_next
    return frames[-MAX_FRAMES:]
