"""Plain Celery as the yardstick for latency and intake: a task that does nothing, and one that calls with httpx.

A separate worker runs it (`celery -A benchmarks.plain_celery worker`), without any code of Nightly.
"""

import os

import httpx
from celery import Celery

QUEUE = "plain"

app = Celery("plain", broker=os.environ.get("BENCHMARK_BROKER"))
app.conf.update(
    task_ignore_result=True,
    task_default_queue=QUEUE,
    worker_prefetch_multiplier=int(os.environ.get("BENCHMARK_PREFETCH", "4")),  # Celery's own default
    broker_connection_retry_on_startup=True,
    worker_send_task_events=False,
)


@app.task(name="plain.nothing")
def nothing(**_: str) -> None:
    """Consume a message and do nothing."""


@app.task(name="plain.refresh", autoretry_for=(httpx.HTTPError,), retry_backoff=True)
def refresh(*, login_id: str, wants_active: bool = True) -> None:
    """Make the call in the simplest way: with a new client for each task."""
    target = os.environ["BENCHMARK_TARGET"]
    path = "/v3/43387ca6-0391-4c82-857d-70d95f087ecb/BankingServices/SetScheduledRefresh"
    body = {"loginId": login_id, "isActivated": wants_active}
    httpx.patch(target + path, json=body, headers={"flinks-auth-key": "benchmark-key"}).raise_for_status()
