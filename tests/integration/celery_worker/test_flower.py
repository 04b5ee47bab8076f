"""A real Flower shows the events of both types as tasks, and no loginId."""

import json
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from sandbox.stack import ManagedProcess, OrphanGuard
from tests.integration.celery_worker.conftest import Nightly, cloud_event, new_logins
from tests.integration.misbehaving import free_port
from tests.waiting import eventually
from worker.broker.celery_config import kombu_address

PAGES = ("/api/tasks", "/api/workers?refresh=true", "/tasks", "/workers")


@pytest.fixture
def flower(nightly: Nightly, tmp_path: Path, orphan_guard: OrphanGuard) -> Iterator[str]:
    """Flower on the workers' Redis, which enables task events by default; its address."""
    port = free_port()
    broker = kombu_address(nightly.stack.environment["REDIS_URL"])[0]
    argv = [sys.executable, "-m", "celery", "--broker", broker, "flower", "--address=127.0.0.1", f"--port={port}"]
    env = nightly.stack.environment | {"FLOWER_UNAUTHENTICATED_API": "1"}
    process = ManagedProcess("flower", argv, env=env, log_path=tmp_path / "flower.log", guard=orphan_guard)
    process.start()
    yield f"http://127.0.0.1:{port}"
    process.stop()


def read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        text: str = answer.read().decode()
    return text


def tasks_of(flower: str) -> dict[str, dict[str, Any]]:
    try:
        found: dict[str, dict[str, Any]] = json.loads(read(f"{flower}/api/tasks"))
    except OSError:  # it is still starting
        return {}
    return found


def send_with_celery(
    nightly: Nightly, name: str, login: str, task_id: str, *, queue: str = "account-events", **changes: str
) -> None:
    broker = kombu_address(nightly.stack.environment["REDIS_URL"])[0]
    with Celery(broker=broker, set_as_current=False) as producer:
        kwargs = {"login_id": login, "occurred_at": "2026-11-22T10:00:00Z"} | changes
        producer.send_task(name, kwargs=kwargs, queue=queue, task_id=task_id)


def is_enabled(nightly: Nightly) -> bool:
    broker = kombu_address(nightly.stack.environment["REDIS_URL"])[0]
    with Celery(broker=broker, set_as_current=False) as client:
        answers = client.control.enable_events(reply=True, timeout=2)
    return "already enabled" in repr(answers)


def test_flower_shows_events_of_both_types_and_no_login(nightly: Nightly, flower: str) -> None:
    worker = nightly.stack.start_worker()
    eventually(lambda: is_enabled(nightly), describe="task events")
    eventually(lambda: read(f"{flower}/api/workers?refresh=true") != "{}", seconds=30, describe="the worker in Flower")
    logins = new_logins(6)
    streamed = [cloud_event(login, on=bool(at % 2), minute=0) for at, login in enumerate(logins[:4])]
    streamed[3]["id"] = f"linked-{logins[3]}"
    nightly.send(streamed)
    send_with_celery(nightly, "account.linked", logins[4], "task-1")
    send_with_celery(nightly, "account.inactive", logins[5], logins[5])
    invalid = cloud_event(logins[0], on=True, minute=1, name="evt-invalid")
    invalid["data"]["instance"] = "elsewhere"
    nightly.send([invalid])

    def seen() -> dict[str, str]:
        return {key: task["state"] for key, task in tasks_of(flower).items() if task["name"].startswith("account.")}

    eventually(lambda: len(seen()) == 7 and "FAILURE" in seen().values(), seconds=30, describe=f"seven tasks: {seen()}")
    tasks = tasks_of(flower)
    states = seen()
    assert states.pop("evt-invalid") == "FAILURE"
    assert set(states.values()) == {"SUCCESS"}
    assert {tasks[key]["name"] for key in states} == {"account.linked", "account.inactive"}
    assert {streamed[0]["id"], "task-1"} <= states.keys()
    assert tasks["evt-invalid"]["exception"] == "instance: is not one of the configured instances"
    assert {tasks[key]["args"] for key in states} == {tasks[key]["kwargs"] for key in states} == {"(hidden)"}
    shown = "".join(read(flower + page) for page in PAGES) + "".join(
        read(f"{flower}/api/task/info/{key}") for key in tasks
    )
    assert "account.linked" in shown
    assert "account-events" in shown
    for login in logins:
        assert login not in shown
        assert login.replace("-", "") not in shown
    assert worker.is_running


def test_flower_shows_a_rejected_event_from_a_wrong_queue_as_failed(nightly: Nightly, flower: str) -> None:
    worker = nightly.stack.start_worker()
    eventually(lambda: is_enabled(nightly), describe="task events")
    (login,) = new_logins(1)
    send_with_celery(nightly, "account.linked", login, "valid", queue="refresh")
    send_with_celery(nightly, "account.linked", login, "invalid", queue="refresh", instance="elsewhere")

    def states() -> dict[str, str]:
        found = {key: task["state"] for key, task in tasks_of(flower).items()}
        return {key: found.get(key, "") for key in ("valid", "invalid")}

    eventually(lambda: states() == {"valid": "SUCCESS", "invalid": "FAILURE"}, seconds=30, describe="both states")
    assert tasks_of(flower)["invalid"]["exception"] == "InvalidEvent([masked])"
    assert nightly.letters() == [("unknown_instance", "instance: is not one of the configured instances")]
    # The worker acknowledges a message a moment after it says what became of it.
    eventually(lambda: not nightly.redis.exists("refresh", "unacked"), describe="both messages being acknowledged")
    assert login not in read(f"{flower}/api/task/info/invalid")
    log = worker.log_path.read_text()
    assert log.count('"result": "rejected"') == 1
    assert "task_raised" not in log, "our line says the same"
    assert '"level": "error"' not in log
    assert login not in log
    assert "Traceback" not in log
