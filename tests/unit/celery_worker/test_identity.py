"""The name under which a worker leases, pulses and reads."""

import re
from types import SimpleNamespace
from typing import Any

from celery.concurrency import prefork, solo

from worker.celery_worker.bootsteps import LedgerCheck


def worker_on(hostname: str, pool: type = prefork.TaskPool) -> Any:
    parent: Any = SimpleNamespace(hostname=hostname, concurrency=2, pool_cls=pool, app=SimpleNamespace())
    LedgerCheck(parent)
    return parent.app


def test_two_workers_with_one_host_name_and_process_id_have_distinct_identities_and_one_readable_name() -> None:
    one, other = worker_on("celery@app"), worker_on("celery@app")
    assert one.identity != other.identity
    assert one.worker_name == other.worker_name
    for app in (one, other):
        assert re.fullmatch(r"celery@app#\d+", app.worker_name)
        assert app.identity.startswith(app.worker_name + "-")


def test_a_pool_that_runs_one_task_at_a_time_has_no_slot_to_spare() -> None:
    assert worker_on("celery@app").has_spare_slot
    assert not worker_on("celery@app", solo.TaskPool).has_spare_slot
