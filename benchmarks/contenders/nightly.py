"""Publishes Nightly's backlog: to the stream as any producer does, or directly into the ledger, as after an outage.

The worker is the real one, `celery -A worker worker`.
"""

import sys
from itertools import islice

from benchmarks.backlog import backlog, cloudevent
from worker.config.settings import Settings
from worker.events.publisher import publish_many
from worker.services import build_services

BATCH = 500


def publish(count: int) -> None:
    """Publish the backlog to the stream."""
    publish_many(
        {
            "type": "account.linked" if wish.is_on else "account.inactive",
            "login_id": wish.login_id,
            "occurred_at": f"2026-01-01T00:00:{number % 60:02}.{number:06}Z",
            "account_id": f"cust-{number}",
        }
        for number, wish in enumerate(backlog(count))
    )


def record(count: int) -> None:
    """Record the backlog as a worker's intake records entries of the stream."""
    intake = build_services(Settings.load()).intake
    events = (cloudevent(number, wish).encode() for number, wish in enumerate(backlog(count)))
    while bodies := list(islice(events, BATCH)):
        intake.accept_bodies(bodies)


if __name__ == "__main__":
    (record if sys.argv[2:] == ["record"] else publish)(int(sys.argv[1]))
