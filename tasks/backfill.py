"""`backfill.feed`: a hint that a lane has room for rows. Acknowledged at once, because losing it loses nothing."""

from typing import Any

import redis

from tasks.event_task import wake
from tasks.passing import pass_on
from worker.backfill.feeder import Feeder
from worker.celery_worker.app import app
from worker.errors import LedgerMismatch
from worker.telemetry.logs import get_logger

REQUEST = "tasks.event_request:EventRequest"
"""As of a reconcile message: its headers decide nothing."""

log = get_logger(__name__)


@app.task(name="backfill.feed", ignore_result=True, typing=False, Request=REQUEST)
def feed(hops: object = 0, **_: Any) -> None:
    """Fill the lanes once, then see to it that somebody works on what is in them."""
    services = app.services()
    feeder = Feeder(
        services.backfills, services.vault, services.fingerprints, is_stopping=lambda: app.shutdown.is_stopping
    )
    try:
        handed_over = feeder.feed()
    except (redis.RedisError, LedgerMismatch) as error:  # the next pulse asks again
        log.warning("feeding_waited", error=type(error).__name__)
        return
    if handed_over:
        wake(services)
    if feeder.leaves_rows_to_others:
        pass_on(app.send_feed, hops)
