"""Naive Celery: one task per event with a plain `httpx.patch`, as in a tutorial."""

import os
import sys

import httpx
from celery import Celery

from benchmarks.backlog import backlog

URL = os.environ["BENCH_STUB_URL"] + "/v3/43387ca6-0391-4c82-857d-70d95f087ecb/BankingServices/SetScheduledRefresh"

app = Celery("naive", broker=os.environ["BENCH_REDIS_URL"])


@app.task(autoretry_for=(httpx.HTTPError,), retry_backoff=True, max_retries=5)
def set_scheduled_refresh(login_id: str, is_on: bool) -> None:  # noqa: FBT001 - the wish
    """Make the call for an event."""
    body = {"loginId": login_id, "isActivated": is_on}
    httpx.patch(URL, json=body, headers={"flinks-auth-key": "bench-key"}, timeout=10).raise_for_status()


if __name__ == "__main__":
    for wish in backlog(int(sys.argv[1])):
        app.send_task("benchmarks.contenders.naive_celery.set_scheduled_refresh", wish)
