"""One line, one JSON object, no secret, no exception."""

import logging
import select
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable

import pytest

from tests.unit.telemetry.captured import Lines
from worker.telemetry.logs import get_logger

REFERENCE = "lgn_" + "a2" * 13


def test_a_log_line_is_one_json_object_with_the_four_fields_and_its_data(lines: Lines) -> None:
    get_logger("worker.intake.accept").info("wish_recorded", login=REFERENCE, instance="toolbox", revision=3)
    assert lines.last.pop("timestamp").endswith("Z")
    assert lines.last | {"timestamp": ""} == {
        "timestamp": "",
        "level": "info",
        "event": "wish_recorded",
        "logger": "worker.intake.accept",
        "login": REFERENCE,
        "instance": "toolbox",
        "revision": 3,
    }


def test_no_value_can_forge_a_line_or_a_standard_field(lines: Lines) -> None:
    get_logger("worker").info("stopped", reason='x\n{"event": "forged"}\r\u2028y', level="debug", timestamp="never")
    assert len(lines.text.splitlines()) == 1
    assert lines.last["level"] == "info"
    assert lines.last["timestamp"] != "never"


def test_our_own_fields_are_scrubbed_too(lines: Lines, canaries: tuple[str, ...]) -> None:
    guid, opaque, short, key = canaries
    get_logger("worker").info("call_made", login_id=short, detail=f"{guid} {opaque}", headers={"flinks-auth-key": key})
    assert not [canary for canary in canaries if canary in lines.text]
    assert lines.last["login_id"] == "[masked]"


def test_a_log_call_never_raises(start_logging: Callable[..., Lines]) -> None:
    lines = start_logging(
        "json"
    )  # here and not in a fixture, because pytest adds its own handlers, which raise, after the fixtures

    class Broken:
        def __str__(self) -> str:
            raise RuntimeError

        __repr__ = __str__

    get_logger("worker").info("called", thing=Broken(), worse={Broken(): Broken()}, huge=10**5000)
    logging.getLogger("library").info(Broken())
    logging.getLogger("library").info("%d of %s", "one")  # noqa: PLE1206 - that is the mistake
    assert [line["event"] for line in lines.all] == ["called", "log_line_failed", "library_reported"]
    assert lines.all[0]["thing"] == "Broken"


def test_each_writes_a_line_for_each_mapping(lines: Lines, canaries: tuple[str, ...]) -> None:
    guid, _, short, _ = canaries
    rows: list[dict[str, object]] = [
        {"event_id": guid, "login": REFERENCE, "detail": guid, "attempt": 1},
        {"event_id": "evt-2", "login_id": short, "huge": 10**5000, "account_id": None},
    ]
    get_logger("worker").info("call_settled", each=iter(rows))
    first, second = lines.all
    assert first.pop("timestamp") == second.pop("timestamp")
    assert first == {
        "level": "info",
        "event": "call_settled",
        "logger": "worker",
        "event_id": guid,  # the intake has masked ids that hold a loginId
        "login": REFERENCE,
        "detail": "[masked]",
        "attempt": 1,
    }
    assert (second["login_id"], second["huge"], second["account_id"]) == ("[masked]", "int", None)


def test_each_is_not_read_if_its_level_is_not_logged_and_may_be_empty(lines: Lines) -> None:
    get_logger("worker").info("call_settled", each=())
    logging.getLogger("worker.silent").setLevel(logging.WARNING)
    rows = iter([{"event_id": "evt-1"}])
    get_logger("worker.silent").info("call_settled", each=rows)
    assert lines.text == ""
    assert next(rows)


def test_lines_of_each_are_written_in_pieces_that_other_processes_cannot_split(
    lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces: list[str] = []
    monkeypatch.setattr(lines.stream, "write", pieces.append)
    get_logger("worker").info("call_settled", each=[{"event_id": f"evt-{number}" * 50} for number in range(100)])
    assert 10 < len(pieces) < 50
    assert all(len(piece) <= select.PIPE_BUF and piece.endswith("}\n") for piece in pieces)
    assert len("".join(pieces).splitlines()) == 100


def test_on_a_terminal_each_mapping_has_its_line(start_logging: Callable[..., Lines]) -> None:
    lines = start_logging("console")
    get_logger("worker").info("call_settled", each=[{"event_id": "a\nb"}, {"event_id": "evt-2"}])
    assert ["call_settled" in line and "event_id" in line for line in lines.text.splitlines()] == [True, True]


def test_a_closed_stderr_raises_no_error(lines: Lines) -> None:
    lines.stream.close()
    get_logger("worker").info("called")
    logging.getLogger("library").warning("%s", {"login_id": "x"})


def test_an_exception_is_logged_without_its_values(lines: Lines, canaries: tuple[str, ...]) -> None:
    def fail(login: str) -> None:
        raise KeyError(login)

    for canary in canaries:
        try:
            fail(canary)
        except KeyError:
            get_logger("worker").exception("slice_failed")
            logging.getLogger("library").exception("It broke: %r", canary)
    assert lines.last["exception"][0]["type"] == "KeyError"
    assert "in fail" in lines.last["exception"][0]["frames"][-1]
    assert not [canary for canary in canaries[:2] if canary in lines.text]
    assert f"KeyError: '{canaries[2]}'" not in lines.text


def test_on_a_terminal_a_log_line_is_readable_and_still_one_line(start_logging: Callable[..., Lines]) -> None:
    lines = start_logging(None, is_terminal=True)
    get_logger("worker").info("wish_recorded", reason="a\nb\x1b[31m")
    assert len(lines.text.splitlines()) == 1
    assert "wish_recorded" in lines.text
    assert "\\x1b[31m" in lines.text
    assert not start_logging(None, is_terminal=False).text
    get_logger("worker").info("wish_recorded")


def test_the_console_shows_where_an_exception_was_raised(start_logging: Callable[..., Lines]) -> None:
    lines = start_logging("console")
    try:
        raise ValueError("'maple tree'")  # noqa: TRY301 - the traceback is the test
    except ValueError:
        get_logger("worker").exception("slice_failed")
    assert "ValueError: [masked]" in lines.text
    assert __file__ in lines.text


def test_the_format_follows_the_terminal_only_by_default(start_logging: Callable[..., Lines]) -> None:
    lines = start_logging("json", is_terminal=True)
    get_logger("worker").info("wish_recorded")
    assert lines.last["event"] == "wish_recorded"


def test_crashes_and_warnings_become_log_lines(lines: Lines, canaries: tuple[str, ...]) -> None:
    sys.excepthook(ValueError, ValueError(f"'{canaries[2]}'"), None)
    thread = threading.Thread(target=lambda: {}[canaries[2]], name="pacemaker")  # type: ignore[index]  # it must fail
    thread.start()
    thread.join()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(f"outside body: KeyError('{canaries[2]}')", stacklevel=1)
    assert [line["event"] for line in lines.all] == ["process_crashed", "thread_crashed", "warning_raised"]
    assert lines.all[1]["thread"] == "pacemaker"
    assert canaries[2] not in lines.text


def test_an_interrupt_is_not_logged_as_a_crash(lines: Lines) -> None:
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert lines.text == ""


def test_a_forked_child_logs_while_the_parent_holds_the_lock() -> None:
    program = """
import logging, os, sys, threading
from worker.telemetry.logs import configure_logging, get_logger
configure_logging(log_format="json", log_level="INFO")
log = get_logger("worker")
handler = logging.getLogger().handlers[0]
held, done = threading.Event(), threading.Event()
def hold():
    with handler.lock:
        held.set(); done.wait()
thread = threading.Thread(target=hold); thread.start(); held.wait()
done_in_parent = threading.Timer(0.2, done.set); done_in_parent.start()
if os.fork() == 0:
    log.info("child_spoke"); os._exit(0)
_, status = os.wait(); done.set(); thread.join(); done_in_parent.cancel()
log.info("parent_spoke", status=status)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=True)
    assert '"event": "child_spoke"' in ran.stderr
    assert '"event": "parent_spoke", "logger": "worker", "status": 0' in ran.stderr
