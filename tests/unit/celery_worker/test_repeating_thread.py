"""A loop survives every exception of its step, reports it once, and ends on request."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis
from structlog.testing import capture_logs

from worker.celery_worker import repeating_thread as loop
from worker.celery_worker.repeating_thread import Loop


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Exception, str]]:
    """Reports to Sentry; a failed step is tried again at once."""
    told: list[tuple[Exception, str]] = []
    monkeypatch.setattr(loop, "report_unexpected", lambda error, where: told.append((error, where)))
    monkeypatch.setattr(loop, "RETRY_SECONDS", 0.001)
    return told


class Script:
    """A step that raises the scripted errors, then does nothing; `is_done` after two steps without one."""

    def __init__(self, *raised: Exception | None) -> None:
        self.raised = list(raised)
        self.steps = 0
        self.threads: set[str] = set()
        self._idle = 0
        self._done = threading.Event()

    def __call__(self) -> None:
        self.steps += 1
        self.threads.add(threading.current_thread().name)
        if not self.raised:
            self._idle += 1
            if self._idle == 2:
                self._done.set()
        elif (error := self.raised.pop(0)) is not None:
            raise error

    def wait(self) -> None:
        assert self._done.wait(5), "the loop died"


@contextmanager
def running(step: Callable[[], object], *, pause_seconds: float = 0.001) -> Iterator[Loop]:
    loop = Loop("probe", step, pause_seconds=pause_seconds)
    loop.start()
    try:
        yield loop
    finally:
        loop.stop()


def lines_of(*raised: Exception | None) -> list[dict[str, Any]]:
    script = Script(*raised)
    with capture_logs() as lines, running(script):
        script.wait()
    return [dict(line) for line in lines]


@pytest.mark.usefixtures("reports")
def test_a_step_is_repeated_in_a_thread_of_its_own() -> None:
    script = Script()
    with running(script):
        script.wait()
    assert script.threads == {"probe"}


def test_a_step_that_fails_is_tried_again_and_reported_once(reports: list[tuple[Exception, str]]) -> None:
    errors = [ValueError("one"), ValueError("two"), ValueError("three")]
    lines = lines_of(*errors)
    assert reports == [(errors[0], "probe")]
    assert [line["event"] for line in lines] == ["loop_failed", "loop_recovered"]


def test_another_kind_of_failure_is_reported_again(reports: list[tuple[Exception, str]]) -> None:
    first, second = ValueError("one"), KeyError("two")
    lines_of(first, first, second, second)
    assert [error for error, _ in reports] == [first, second]


def test_a_failure_that_returns_after_a_recovery_is_reported_again(reports: list[tuple[Exception, str]]) -> None:
    lines = lines_of(ValueError("one"), None, ValueError("two"))
    assert len(reports) == 2
    assert [line["event"] for line in lines] == ["loop_failed", "loop_recovered"] * 2


def test_a_lost_redis_is_one_warning_and_no_report(reports: list[tuple[Exception, str]]) -> None:
    lines = lines_of(*[redis.ConnectionError("secret host")] * 3)
    assert [(line["event"], line["log_level"]) for line in lines] == [
        ("ledger_unreachable", "warning"),
        ("loop_recovered", "info"),
    ]
    assert lines[1]["after"] == lines[0]["error"] == "ConnectionError"
    assert "secret host" not in repr(lines)
    assert not reports


@pytest.mark.usefixtures("reports")
def test_a_stop_request_ends_the_pause_of_a_loop() -> None:
    script = Script()
    began_at = time.monotonic()
    with running(script, pause_seconds=60):
        pass
    assert time.monotonic() - began_at < 5
    assert script.steps <= 1


@pytest.mark.usefixtures("reports")
def test_a_loop_ends_after_its_present_step() -> None:
    started, released, ended = threading.Event(), threading.Event(), threading.Event()

    def step() -> None:
        started.set()
        released.wait(5)
        ended.set()

    with running(step) as loop:
        assert started.wait(5)
        threading.Timer(0.02, released.set).start()
        loop.stop()
        assert ended.is_set(), "stop returned while the step was still running"


@pytest.mark.usefixtures("reports")
def test_the_wait_for_a_hanging_step_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.celery_worker.repeating_thread.STOP_SECONDS", 0.02)
    released = threading.Event()
    began_at = time.monotonic()
    with running(lambda: released.wait(5)):
        pass
    assert time.monotonic() - began_at < 2
    released.set()
