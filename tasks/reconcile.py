"""The task `refresh.reconcile`: runs one slice of `worker/reconciler`, which calls Flinks for logins that are due.

Its message is only a hint and is acknowledged at once: if it is lost, the next pulse sends another.
"""

import asyncio
import os
import secrets
import threading
from collections.abc import Callable
from typing import Any

from tasks.event_task import wake
from tasks.forward import forward
from worker.celery_worker.app import app
from worker.celery_worker.gc_tuning import spare_what_stays
from worker.event_loop import new_runner
from worker.flinks.client import FlinksClient
from worker.reconciler.dispatcher import Bounds, Parts
from worker.reconciler.reconciler import run_slice
from worker.reconciler.retry_policy import RetryLimits
from worker.services import Services

REQUEST = "tasks.event_request:EventRequest"
"""Ignores the message's options: running a slice costs as little as checking them."""

_of_thread = threading.local()
"""Each thread keeps its event loop and its Flinks connections between slices."""


@app.task(name="refresh.reconcile", ignore_result=True, typing=False, Request=REQUEST)
def reconcile(key: object = "", hops: object = 0, **_: Any) -> None:
    """Run one slice if a reconciler slot is free, then send a message for work that is left.

    `key` is the id of the key that the work needs. A worker without that key passes the message on.
    """
    services = app.services()
    if key and key not in services.vault.key_ids:
        forward(lambda left: app.send_reconcile(str(key), left), hops)
        return
    worker = app.identity
    owner = f"{os.getpid()}-{secrets.token_hex(6)}"  # not the task's id: a message may be delivered twice
    reconcilers = services.ledger.join_reconcilers(worker, owner)
    if not reconcilers:
        return

    def hand_over() -> None:
        services.ledger.leave_reconcilers(worker, owner)
        if not app.shutdown.is_stopping:
            wake(services)

    try:
        runner, client = _loop_and_client(services)
        parts = _parts(services, client, worker, owner, hand_over)
        runner.run(run_slice(parts, _instances(services), reconcilers=reconcilers))
    finally:
        hand_over()


def _loop_and_client(services: Services) -> tuple[asyncio.Runner, FlinksClient]:
    if not hasattr(_of_thread, "runner"):
        runner = new_runner()
        client = FlinksClient(max_connections=services.settings.flinks_max_in_flight)
        runner.run(client.__aenter__())
        _of_thread.runner, _of_thread.client = runner, client
        spare_what_stays()
    return _of_thread.runner, _of_thread.client


def _parts(services: Services, client: FlinksClient, worker: str, owner: str, hand_over: Callable[[], None]) -> Parts:
    settings = services.settings
    bounds = Bounds(
        lease_seconds=settings.lease_seconds,
        call_seconds=settings.flinks_timeout_seconds,
        calls_per_second=settings.flinks_calls_per_second,
        max_in_flight=settings.flinks_max_in_flight,
        retry=RetryLimits(
            max_attempts=settings.retry_max_attempts,
            max_age_seconds=settings.retry_max_age_hours * 3600,
            settle_seconds=settings.flinks_settle_seconds,
        ),
        gate=settings.gate_rules,
    )
    return Parts(
        services.ledger,
        services.vault,
        client,
        bounds,
        worker,
        owner,
        _is_stopping,
        hand_over,
        app.worker_name,
        stays=app.has_spare_slot,
    )


def _is_stopping() -> bool:
    return app.shutdown.is_stopping


def _instances(services: Services) -> list[tuple[Any, str]]:
    return [(instance, services.fingerprints[name]) for name, instance in services.instances.items()]
