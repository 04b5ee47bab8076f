"""A pool of processes survives a process that ended, and a parent that no longer reads results."""

import os
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from billiard import pool
from celery.concurrency.asynpool import AsynPool
from kombu.asynchronous.hub import Hub

from worker.celery_worker.patches.prefork_pool import WAIT_SECONDS, guard_pool


@pytest.fixture
def hub() -> Iterator[Hub]:
    hub = Hub()
    yield hub
    hub.close()


def test_a_process_ends_a_second_after_its_last_task_if_nobody_reads_the_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(pool.time, "sleep", slept.append)
    process = SimpleNamespace(on_ready_counter=SimpleNamespace(value=0))
    guard_pool()
    assert pool.Worker._ensure_messages_consumed(process, completed=1) is False
    assert sum(slept) == pytest.approx(WAIT_SECONDS)
    process.on_ready_counter.value = 1
    assert pool.Worker._ensure_messages_consumed(process, completed=1) is True


def test_a_worker_that_reconnects_skips_a_process_that_ended_and_watches_the_others(hub: Hub) -> None:
    guard_pool()
    celery_pool = AsynPool.__new__(AsynPool)  # without starting processes; watching needs no state of it
    looks: list[None] = []
    celery_pool.maintain_pool = lambda: looks.append(None)
    read_end, write_end = os.pipe()  # as a process holds its end open until it ends
    ended = SimpleNamespace(_popen=SimpleNamespace(sentinel=read_end))
    lives = SimpleNamespace(_popen=SimpleNamespace(sentinel=read_end))
    try:
        celery_pool._track_child_process(ended, hub)
        celery_pool._event_process_exit(hub, ended)
        assert looks == [None]
        hub.close()  # the connection to the broker was lost
        for process in (ended, lives):
            celery_pool._track_child_process(process, hub)
        assert set(hub.readers) == {lives._sentinel_poll}
    finally:
        celery_pool._untrack_child_process(lives, hub)
        os.close(read_end)
        os.close(write_end)
