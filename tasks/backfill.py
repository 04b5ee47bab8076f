"""The task `backfill.feed`: hands rows of backfills and letters of bulk jobs to lanes that have room.

Its message is only a hint and is acknowledged at once: if it is lost, the next pulse sends another.
"""

from typing import Any

from tasks.event_task import wake
from tasks.forward import forward
from worker.backfill.feeder import Feeder
from worker.celery_worker.app import app
from worker.ledger import LEDGER_UNAVAILABLE
from worker.operations.message_rows import MessageRows
from worker.services import Services
from worker.telemetry.logs import get_logger

REQUEST = "tasks.event_request:EventRequest"
"""Ignores the message's options, as for `refresh.reconcile`."""

log = get_logger(__name__)


@app.task(name="backfill.feed", ignore_result=True, typing=False, Request=REQUEST)
def feed(hops: object = 0, **_: Any) -> None:
    """Fill the lanes once, then make sure that reconcilers run for their rows."""
    services = app.services()
    feeder = _feeder(services)
    try:
        handed_over = feeder.feed()
    except LEDGER_UNAVAILABLE as error:  # the next pulse sends another message
        log.warning("feeding_postponed", error=type(error).__name__)
        return
    if handed_over:
        wake(services)
    if feeder.leaves_rows_to_others:
        forward(app.send_feed, hops)


def _feeder(services: Services) -> Feeder:
    judge = MessageRows(
        services.ledger, services.letters, services.vault, services.intake, services.backfills.is_key_held
    )
    return Feeder(
        services.backfills,
        services.vault,
        services.fingerprints,
        jobs=services.jobs,
        judge=judge,
        is_stopping=lambda: app.shutdown.is_stopping,
    )
