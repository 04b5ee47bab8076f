"""What a process prints is in the format of its log."""

import logging
import sys
import threading
import traceback
import warnings
from collections.abc import Callable

import pytest

from tests.unit.telemetry.captured import Lines
from worker.telemetry.logs import TASK_LOGGERS, configure_logging
from worker.telemetry.printed import log_printed_lines, print_reasons

REASON = "METRICS_PORT: must be a number"


@pytest.fixture
def printed(start_logging: Callable[..., Lines], monkeypatch: pytest.MonkeyPatch) -> Callable[[], Lines]:
    """Start logging with printed lines; call it in the test, as pytest replaces both streams after the fixtures."""

    def start() -> Lines:
        monkeypatch.setattr(sys, "stdout", sys.stdout)
        lines = start_logging("json")
        log_printed_lines()
        return lines

    return start


def test_a_printed_line_becomes_a_scrubbed_log_line(printed: Callable[[], Lines], canaries: tuple[str, ...]) -> None:
    lines = printed()
    print("two", 3, flush=True)  # noqa: T201 - the test
    print(f"\n  \nlogin '{canaries[2]}' {canaries[0]}", end="\nhalf a line", file=sys.stderr)  # noqa: T201 - the test
    print(" and its end", file=sys.stderr)  # noqa: T201 - the test
    assert [(line["level"], line["logger"], line["message"]) for line in lines.all] == [
        ("info", "stdout", "two 3"),
        ("warning", "stderr", "login [masked] [masked]"),
        ("warning", "stderr", "half a line and its end"),
    ]


def test_a_printed_traceback_is_json_line_by_line(printed: Callable[[], Lines], canaries: tuple[str, ...]) -> None:
    lines = printed()
    try:
        raise KeyError(canaries[2])  # noqa: TRY301 - the traceback is the test
    except KeyError:
        traceback.print_exc()
    assert lines.last["message"] == "KeyError: [masked]"
    assert len(lines.all) > 2


def test_configuring_again_writes_to_the_real_stderr(printed: Callable[[], Lines]) -> None:
    """Celery makes the worker configure logging a second time."""
    lines = printed()
    configure_logging(log_format="json", log_level="INFO")
    logging.getLogger("worker").warning("once")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("deprecated", stacklevel=1)
    thread = threading.Thread(target=lambda: print("from a thread"))  # noqa: T201 - the test
    thread.start()
    thread.join()
    assert [line["event"] for line in lines.all] == ["library_reported", "warning_raised", "library_reported"]


def test_the_reasons_of_a_refused_start_are_text_for_a_person_and_else_log_lines(
    start_logging: Callable[..., Lines],
) -> None:
    lines = start_logging("console")
    print_reasons([REASON, REASON], log_format="console")
    assert lines.text == f"{REASON}\n{REASON}\n"
    lines = start_logging("console")
    print_reasons([REASON], log_format="json")
    assert (lines.last["event"], lines.last["level"], lines.last["reason"]) == ("start_refused", "critical", REASON)


@pytest.mark.parametrize(("level", "is_logged"), [("DEBUG", True), ("INFO", False), ("WARNING", False)])
def test_celery_logs_each_task_only_at_debug_and_its_warnings_always(
    start_logging: Callable[..., Lines], level: str, *, is_logged: bool
) -> None:
    lines = start_logging("json")
    configure_logging(log_format="json", log_level=level)
    for name in TASK_LOGGERS:
        assert logging.getLogger(name).isEnabledFor(logging.INFO) is is_logged
        logging.getLogger(name).warning("it matters")
    assert len(lines.all) == len(TASK_LOGGERS)
