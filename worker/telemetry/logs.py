"""Formats log lines: a JSON object on stderr, or coloured text on a terminal.

One formatter scrubs every line of Nightly, Celery, kombu and other libraries. A log call never raises, a value cannot
forge a second line, and a value that JSON cannot hold becomes the name of its type. The standard library's handlers do
the locking, so forked pool children can log at the same time.
"""

import json
import logging
import select
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from types import TracebackType
from typing import Any, Literal

import structlog
from structlog.typing import EventDict, WrappedLogger

from worker.telemetry.foreign import describe_foreign
from worker.telemetry.scrub import MASK, is_denied, scrub_text, scrub_value
from worker.telemetry.sentry import report_unexpected
from worker.telemetry.tracebacks import describe_exception

VETTED_FIELDS = frozenset({"event_id", "account_id"})
"""Our fields that are shown unchanged: the intake masked the loginId in them (`Vault.without_login`).

They are often GUIDs, which any other field loses.
"""
_WRITE_BYTES = select.PIPE_BUF
"""Lines of several processes that share a pipe do not mix within one write of at most this size."""
LogFormat = Literal["json", "console"]
TALKATIVE_LOGGERS = ("asyncio", "httpcore", "httpx", "uvicorn.access")
"""Libraries that log each call or connection; only their warnings are logged."""
TASK_LOGGERS = ("celery.app.trace", "celery.worker.strategy")
"""Celery logs each task as received and succeeded. Only LOG_LEVEL=DEBUG logs that, beside their warnings."""
_HEAD = ("timestamp", "level", "event", "logger")
_SMALL, _SHORT = 2**31, 20
_scrub_short = lru_cache(maxsize=512)(scrub_text)  # names, codes, words: the same few in nearly every line
_is_denied = lru_cache(maxsize=256)(is_denied)
_to_json = json.JSONEncoder(default=lambda value: type(value).__name__).encode
_UNPRINTABLE = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}
_UNPRINTABLE |= {code: f"\\u{code:04x}" for code in (0x2028, 0x2029)}


def writes_json(log_format: LogFormat | None) -> bool:
    """Return whether log lines are JSON: in the format `json`, and by default unless stderr is a terminal."""
    return log_format == "json" or (log_format is None and not sys.stderr.isatty())


def configure_logging(*, log_format: LogFormat | None, log_level: str) -> None:
    """Send every logger of this process through our formatter to stderr, and nowhere else.

    Call it at the start of a command, and in a worker from Celery's `setup_logging` signal: with a receiver, Celery
    adds no handlers of its own. A second call replaces the first.
    """
    handler = _Handler(getattr(sys.stderr, "original", sys.stderr))  # printed.py may have replaced it
    handler.setFormatter(_Formatter(is_console=not writes_json(log_format)))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(log_level)
    for name in TALKATIVE_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in TASK_LOGGERS:
        logging.getLogger(name).setLevel(logging.NOTSET if log_level == "DEBUG" else logging.WARNING)
    logging.captureWarnings(capture=True)
    _join_pool_logger()
    _log_crashes()
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of a module: `log.info("wish_recorded", login=reference, instance=name)`.

    `each=ITERABLE` writes one line for each mapping of fields, for much less CPU than as many calls. It is read only if
    the level is logged.
    """
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


class _Handler(logging.StreamHandler[Any]):
    """Writes to stderr. Drops a line that cannot be written, because the default handler prints its arguments."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the lines of a record, as many at once as fit into one write."""
        try:
            for text in _in_writes(self.format(record).split("\n")):
                self.stream.write(text)
                self.flush()
        except Exception:  # noqa: BLE001 - a log call never raises
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the standard library's name
        """Do nothing: stderr, the only place to report it, has failed."""


class _Formatter(structlog.stdlib.ProcessorFormatter):
    """Formats any record as one line; if formatting fails, as a line without content."""

    def __init__(self, *, is_console: bool) -> None:
        super().__init__(
            processors=[_to_line, _render_console() if is_console else _render_json],
            pass_foreign_args=True,
            use_get_message=False,
        )

    def format(self, record: logging.LogRecord) -> str:
        try:
            return super().format(record)
        except Exception as error:  # noqa: BLE001 - a log call never raises
            failed = {"event": "log_line_failed", "logger": record.name, "reason": type(error).__name__}
            return _to_json({**_head(record), **failed})


def _in_writes(lines: Iterable[str]) -> Iterator[str]:
    held = ""
    for line in lines:
        if held and len(held) + len(line) >= _WRITE_BYTES:
            yield held
            held = ""
        if line:
            held += line + "\n"
    if held:
        yield held


def _to_line(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    record: logging.LogRecord = event.pop("_record")
    is_ours = event.pop("_from_structlog")
    exc_info = event.pop("exc_info", None)
    event.pop("stack_info", None)
    if is_ours:
        rows = event.pop("each", None)
        fields = _scrubbed(event)
        if rows is not None:
            fields["each"] = [_scrubbed(row) for row in rows]
    else:
        fields = describe_foreign(record.name, event["event"], event.get("positional_args"))
    line = {**_head(record), "event": fields.pop("event", ""), "logger": record.name}
    line |= {name: value for name, value in fields.items() if name not in _HEAD}
    if exc_info and (chain := describe_exception(exc_info)):
        line["exception"] = chain
    return line


def _scrubbed(fields: Mapping[str, object]) -> dict[str, object]:
    """Scrub the fields of one line. Short texts and numbers, as nearly all values are, take a short way."""
    shown: dict[str, object] = {}
    for name, value in fields.items():
        if _is_denied(name):
            shown[name] = MASK
        elif isinstance(value, str):
            is_short = len(value) <= _SHORT
            shown[name] = value if name in VETTED_FIELDS else _scrub_short(value) if is_short else scrub_text(value)
        elif value.__class__ is int and -_SMALL < value < _SMALL:
            shown[name] = value
        else:
            shown[name] = scrub_value(value)
    return shown


def _head(record: logging.LogRecord) -> dict[str, object]:
    at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"timestamp": at, "level": record.levelname.lower()}


def _render_json(_: WrappedLogger, __: str, event: EventDict) -> str:
    rows = event.pop("each", None)
    if rows is None:
        return _to_json(event)
    beginning = _to_json(event)[:-1]
    return "\n".join(f"{beginning}, {_to_json(row)[1:]}" for row in rows)


def _render_console() -> Any:
    renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())

    def render(logger: WrappedLogger, name: str, event: EventDict) -> str:
        if (rows := event.pop("each", None)) is not None:
            return "\n".join(render(logger, name, event | row) for row in rows)
        chain = event.pop("exception", [])
        shown = {str(_printable(key)): _printable(value) for key, value in event.items()}
        lines = [str(renderer(logger, name, shown))]
        for error in chain:
            lines.append(f"  {error['type']}: {_printable(error['message'])}")
            lines += [f"    {_printable(frame)}" for frame in error["frames"]]
        return "\n".join(lines)

    return render


def _printable(value: object) -> object:
    return value.translate(_UNPRINTABLE) if isinstance(value, str) else value


def _join_pool_logger() -> None:
    # By default billiard's lines ("process exited with signal 9") do not reach the root logger.
    if "billiard" in sys.modules:  # only a worker has a pool, and the import would delay every other command
        from billiard.util import get_logger as get_pool_logger  # noqa: PLC0415 - see above

        pool_logger = get_pool_logger()
        pool_logger.propagate = True
        pool_logger.setLevel(logging.ERROR)


def _log_crashes() -> None:
    # The default hooks print an exception's text to stderr unscrubbed.
    sys.excepthook = _on_crash
    threading.excepthook = _on_thread_crash


def _on_crash(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        get_logger(__name__).critical("process_crashed", exc_info=(kind, error, traceback))
        report_unexpected(error, where="process")


def _on_thread_crash(crash: threading.ExceptHookArgs) -> None:
    error = crash.exc_value
    if error is not None and not isinstance(error, SystemExit):
        name = crash.thread.name if crash.thread else None
        exc_info = (crash.exc_type, error, crash.exc_traceback)
        get_logger(__name__).critical("thread_crashed", thread=name, exc_info=exc_info)
        report_unexpected(error, where="thread")
