"""Each way in, used as a stranger would use it, leads to the right call."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.working.conftest import Nightly, cloud_event, new_logins
from tests.waiting import eventually

TEN_LINES = """
from celery import Celery

app = Celery(broker={broker!r})
app.send_task(
    "account.linked",
    kwargs={{"login_id": {login!r}, "occurred_at": "2026-11-22T10:00:00Z", "account_id": "cust-42"}},
    queue="account-events",
)
"""


@pytest.fixture
def working(nightly: Nightly) -> Nightly:
    nightly.stack.start_worker()
    return nightly


def test_ten_lines_of_python_that_know_only_celery_switch_a_login_on(working: Nightly, tmp_path: Path) -> None:
    (login,) = new_logins(1)
    script = TEN_LINES.format(broker=working.stack.environment["REDIS_URL"], login=login)
    subprocess.run([sys.executable, "-I", "-c", script], cwd=tmp_path, check=True, timeout=30)
    assert eventually(working.flags, describe="the call") == {login: True}
    working.comes_to_rest()
    assert working.services.views.login(working.reference(login))["account_id"] == "cust-42"
    assert working.emulator.stats().load.calls == 1


def test_one_redis_cli_xadd_switches_a_login_off(working: Nightly) -> None:
    (login,) = new_logins(1)
    event = json.dumps(cloud_event(login, on=False, minute=0))
    redis_cli = Path(sys.executable).with_name("redis-cli")
    command = [
        redis_cli,
        "-u",
        working.stack.environment["REDIS_URL"],
        "XADD",
        "account-events:stream",
        "*",
        "event",
        event,
    ]
    subprocess.run(command, check=True, timeout=30, stdout=subprocess.DEVNULL)
    assert eventually(working.flags, describe="the call") == {login: False}


def test_a_batch_is_taken_apart_and_only_its_bad_event_is_kept_for_review(working: Nightly) -> None:
    good, other = new_logins(2)
    bad = cloud_event(other, on=True, minute=0) | {"time": "yesterday"}
    working.redis.xadd("account-events:stream", {"event": json.dumps([cloud_event(good, on=True, minute=0), bad])})
    assert eventually(working.flags, describe="the call") == {good: True}
    assert eventually(working.letters) == [
        ("invalid_event", "time: must be an RFC 3339 time such as 2026-11-22T10:00:00Z")
    ]


def test_what_no_way_in_can_read_is_listed_with_a_reason(working: Nightly) -> None:
    for body in (b"\xff\xfe", b"", b"[]", b'"text"', b"{", b"[" * 5000, b"null"):
        working.redis.xadd("account-events:stream", {"event": body})
    working.redis.xadd("account-events:stream", {"evnet": "{}"})
    eventually(lambda: len(working.letters()) == 8, describe="eight letters")
    assert all(code == "invalid_event" and reason for code, reason in working.letters())
    assert working.redis.xlen("account-events:stream") == 0


def test_an_event_for_an_instance_nobody_configured_waits_for_review_and_can_be_replayed(working: Nightly) -> None:
    (login,) = new_logins(1)
    event = cloud_event(login, on=True, minute=0)
    event["data"]["instance"] = "acme-us"
    working.send([event])
    ((code, reason),) = eventually(working.letters)
    assert (code, reason) == ("unknown_instance", "instance: is not one of the configured instances")


def test_churn_and_relink_delivered_backwards_and_twice_leaves_the_login_on(working: Nightly) -> None:
    (login,) = new_logins(1)
    relink, churn, link = (
        cloud_event(login, on=on, minute=minute) for on, minute in ((True, 3), (False, 2), (True, 1))
    )
    working.send([relink, churn, link, churn, relink])
    working.comes_to_rest()
    assert working.flags() == {login: True}
    tally = working.tally()
    assert (tally["recorded"], tally["superseded"], tally["duplicate"]) == (5, 3, 1)
