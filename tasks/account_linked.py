"""The task `account.linked`: a customer linked an account, so its nightly refresh should be on.

`event_task.py` has its code.
"""

from tasks.event_task import EventTask
from worker.celery_worker.app import app


class AccountLinked(EventTask):
    """Records events that wish `isActivated: true`."""

    name = "account.linked"
    wants_active = True


app.register_task(AccountLinked())
