"""The task `account.inactive`: an account became inactive, so its nightly refresh should be off."""

from tasks.event_task import EventTask
from worker.celery_worker.app import app


class AccountInactive(EventTask):
    """Records the event; its message is acknowledged after that."""

    name = "account.inactive"
    wants_active = False


app.register_task(AccountInactive())
