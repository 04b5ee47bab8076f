"""`account.inactive`: an account went inactive, so its nightly refresh should be off."""

from typing import Any

from tasks.event_task import EventTask, take_in
from worker.celery_worker.app import app


@app.task(name="account.inactive", base=EventTask, bind=True)
def account_inactive(self: EventTask, /, *args: Any, **kwargs: Any) -> None:
    """Record the event; the message is acknowledged after that."""
    take_in(self, args, kwargs)
