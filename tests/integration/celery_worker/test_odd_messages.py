"""Celery messages that Celery itself would drop or delay are recorded as events."""

from datetime import UTC, datetime, timedelta

from celery import Celery

from tests.integration.celery_worker.conftest import Nightly, new_logins
from tests.waiting import eventually
from worker.broker.celery_config import kombu_address


def test_expired_delayed_and_rate_limited_messages_are_recorded_at_once(nightly: Nightly) -> None:
    """On our broker, even if the environment names another one for Celery."""
    expired, delayed, limited = logins = new_logins(3)
    with Celery(broker=kombu_address(nightly.stack.environment["REDIS_URL"])[0]) as producer:
        for login, options in (
            (expired, {"expires": datetime.now(UTC) - timedelta(hours=1)}),
            (delayed, {"countdown": 3600}),
            (limited, {"soft_time_limit": 0.001, "time_limit": 0.001}),
        ):
            kwargs = {"login_id": login, "occurred_at": "2026-11-22T10:00:00Z"}
            producer.send_task("account.linked", kwargs=kwargs, queue="account-events", **options)
    nightly.stack.environment["CELERY_BROKER_URL"] = "redis://127.0.0.1:1/0"
    nightly.stack.start_worker()
    eventually(lambda: nightly.flags() == dict.fromkeys(logins, True), describe="three calls")
    nightly.comes_to_rest()
