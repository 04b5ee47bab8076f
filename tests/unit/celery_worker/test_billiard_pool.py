"""A pool process does not wait long for a parent that has stopped reading results."""

from types import SimpleNamespace

import pytest
from billiard import pool

from worker.celery_worker.patches.billiard_pool import WAIT_SECONDS, wait_briefly_for_the_parent


def test_a_process_ends_a_second_after_its_last_task_if_nobody_reads_the_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(pool.time, "sleep", slept.append)
    process = SimpleNamespace(on_ready_counter=SimpleNamespace(value=0))
    wait_briefly_for_the_parent()
    assert pool.Worker._ensure_messages_consumed(process, completed=1) is False
    assert sum(slept) == pytest.approx(WAIT_SECONDS)
    process.on_ready_counter.value = 1
    assert pool.Worker._ensure_messages_consumed(process, completed=1) is True
