"""`account.inactive`: an account went inactive, so its nightly refresh should be off."""

from tasks.event_task import EventTask
from worker.celery_worker.app import app
from worker.events.contract import EVENT_TYPES


class AccountInactive(EventTask):
    """Records the event, then acknowledges its message."""

    name = "account.inactive"
    wants_active = EVENT_TYPES[name]


app.register_task(AccountInactive())
