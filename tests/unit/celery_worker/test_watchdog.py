"""The watchdog ends a worker whose parts are stuck, and no other."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery.worker import state

from worker.celery_worker import watchdog
from worker.celery_worker.shutdown import EXIT_STUCK
from worker.celery_worker.watchdog import LOOK_SECONDS, STUCK_LOOKS, Part, Progress, Watchdog


class FakeRequest:
    """A task that the pool is running."""

    name = "refresh.reconcile"
    worker_pid = 4711


class FakeShutdown:
    """Records the requested stages."""

    def __init__(self) -> None:
        self.begun: list[int] = []

    @property
    def is_stopping(self) -> bool:
        return bool(self.begun)

    def begin(self, *, exit_code: int) -> None:
        self.begun.append(exit_code)


@pytest.fixture
def shutdown(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeShutdown]:
    monkeypatch.setattr(watchdog, "report_stuck", lambda **_: None)
    monkeypatch.setattr(state, "should_stop", None)
    for name in ("reserved_requests", "active_requests"):
        monkeypatch.setattr(state, name, [])
    return FakeShutdown()


def dog(shutdown: FakeShutdown, *parts: Part, progress: Progress | None = None, **options: Any) -> Watchdog:
    options = {"task_seconds": 10 * LOOK_SECONDS, "health_file": None} | options
    return Watchdog(parts, progress or Progress(), shutdown, **options)  # type: ignore[arg-type]


def looks(found: Watchdog, times: int) -> None:
    for _ in range(times):
        found.step()


def test_a_stuck_part_ends_the_worker_once(shutdown: FakeShutdown) -> None:
    found = dog(shutdown, Part("stream", lambda: 1))
    looks(found, STUCK_LOOKS)
    assert shutdown.begun == []
    looks(found, 5)
    assert shutdown.begun == [EXIT_STUCK]
    assert state.should_stop == EXIT_STUCK


def test_an_active_or_idle_part_does_not_end_the_worker(shutdown: FakeShutdown) -> None:
    moving = iter(range(1000))
    found = dog(shutdown, Part("stream", lambda: next(moving)), Part("celery", lambda: 1, lambda: False))
    looks(found, 3 * STUCK_LOOKS)
    assert shutdown.begun == []


def test_a_part_that_was_excused_once_gets_its_full_time_again(shutdown: FakeShutdown) -> None:
    excuses = iter([True] * (STUCK_LOOKS - 1) + [False] + [True] * (STUCK_LOOKS - 1))
    found = dog(shutdown, Part("celery", lambda: 1, lambda: next(excuses)))
    looks(found, 2 * STUCK_LOOKS)
    assert shutdown.begun == []


def test_the_heartbeat_file_is_touched_until_a_part_is_stuck(shutdown: FakeShutdown, tmp_path: Path) -> None:
    file = tmp_path / "alive"
    found = dog(shutdown, Part("stream", lambda: 1), health_file=file)
    looks(found, 1)
    assert file.exists()
    looks(found, STUCK_LOOKS)
    file.unlink()
    looks(found, 3)
    assert not file.exists()


def test_a_heartbeat_file_that_cannot_be_written_ends_no_worker(shutdown: FakeShutdown, tmp_path: Path) -> None:
    looks(dog(shutdown, health_file=tmp_path / "no folder" / "alive"), 3)
    assert shutdown.begun == []


def test_an_endless_task_costs_only_its_child(shutdown: FakeShutdown, monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[tuple[int, int]] = []
    monkeypatch.setattr(watchdog.os, "kill", lambda pid, number: killed.append((pid, number)))
    request = FakeRequest()
    monkeypatch.setattr(state, "reserved_requests", [request])
    monkeypatch.setattr(state, "active_requests", [request])
    progress = Progress()
    found = dog(shutdown, progress=progress)
    looks(found, 30)
    assert killed == [], "Redis did not answer, so the task may wait for it"
    for _ in range(12):
        progress.made("ledger")
        found.step()
    assert killed == [(4711, 9)]
    assert shutdown.begun == []


def test_short_tasks_one_after_the_other_are_not_one_long_task(
    shutdown: FakeShutdown, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[int] = []
    monkeypatch.setattr(watchdog.os, "kill", lambda pid, _: killed.append(pid))
    requests: list[FakeRequest] = []
    for name in ("reserved_requests", "active_requests"):
        monkeypatch.setattr(state, name, requests)
    progress, addresses = Progress(), set()
    found = dog(shutdown, progress=progress)
    for _ in range(100):
        requests.clear()  # the previous request is freed, and Python reuses its address for the next
        requests.append(FakeRequest())
        addresses.add(id(requests[0]))
        progress.made("ledger")
        found.step()
    assert len(addresses) < 50, "otherwise this test shows nothing"
    assert killed == []
    assert shutdown.begun == []


def test_a_task_that_never_starts_ends_the_worker_after_three_times_the_limit(
    shutdown: FakeShutdown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "reserved_requests", [FakeRequest()])
    progress = Progress()
    found = dog(shutdown, progress=progress)
    for _ in range(30):
        progress.made("ledger")
        found.step()
    assert shutdown.begun == []
    progress.made("ledger")
    found.step()
    assert shutdown.begun == [EXIT_STUCK]
