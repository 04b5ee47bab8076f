"""The task `account.linked`: a customer linked an account, so its nightly refresh should be on."""

from tasks.event_task import EventTask
from worker.celery_worker.app import app


class AccountLinked(EventTask):
    """Records the event; its message is acknowledged after that."""

    name = "account.linked"
    wants_active = True


app.register_task(AccountLinked())
