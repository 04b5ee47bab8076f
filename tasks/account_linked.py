"""`account.linked`: a customer linked an account, so its nightly refresh should be on."""

from tasks.event_task import EventTask
from worker.celery_worker.app import app
from worker.events.contract import EVENT_TYPES


class AccountLinked(EventTask):
    """Records the event, then acknowledges its message."""

    name = "account.linked"
    wants_active = EVENT_TYPES[name]


app.register_task(AccountLinked())
