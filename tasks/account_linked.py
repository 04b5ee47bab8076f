"""`account.linked`: a customer linked an account, so its nightly refresh should be on."""

from typing import Any

from tasks.event_task import EventTask, take_in
from worker.celery_worker.app import app


@app.task(name="account.linked", base=EventTask, bind=True)
def account_linked(self: EventTask, /, *args: Any, **kwargs: Any) -> None:
    """Record the event; the message is acknowledged after that."""
    take_in(self, args, kwargs)
