"""The task `account.inactive`: an account became inactive, so its nightly refresh should be off.

`event_task.py` has its code.
"""

from tasks.event_task import EventTask
from worker.celery_worker.app import app


class AccountInactive(EventTask):
    """Records events that wish `isActivated: false`."""

    name = "account.inactive"
    wants_active = False


app.register_task(AccountInactive())
