"""`nightly doctor` and `nightly status` report on RabbitMQ without its password."""

import json
import os
import subprocess
import sys
from typing import Any

from tests.integration.celery_worker.conftest import cloud_event, new_logins
from tests.rabbitmq.conftest import OnRabbit


def _say(nightly: OnRabbit, *arguments: str, **changes: str) -> str:
    command = [sys.executable, "-m", "worker", *arguments]
    environment = {**os.environ, **nightly.stack.environment, **changes}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert "Traceback" not in done.stderr
    return done.stdout


def _doctor(nightly: OnRabbit, **changes: str) -> dict[str, Any]:
    return {line["name"]: line for line in map(json.loads, _say(nightly, "doctor", "--json", **changes).splitlines())}


def test_doctor_and_status_show_waiting_messages_and_readers(nightly: OnRabbit) -> None:
    nightly.send_with_celery([cloud_event(login, on=True, minute=0) for login in new_logins(3)])
    checks = _doctor(nightly)
    assert checks["RabbitMQ"]["level"] == "ok"
    assert checks["queue account-events"]["level"] == "fail"
    assert "3 messages wait" in checks["queue account-events"]["what"]
    assert checks["workers"]["level"] == "fail"
    state = json.loads(_say(nightly, "status", "--json"))
    assert state["rabbitmq"]["account-events"] == {"waiting": 3, "consumers": 0}
    queue = state["waiting_events"]["queue"]
    assert queue == {"events": 3, "unacknowledged": None, "oldest_seconds": None, "problem": None}
    assert state["needs_a_person"][0]["title"] == "NO WORKER"
    nightly.stack.start_worker(concurrency=1)
    nightly.comes_to_rest()
    checks = _doctor(nightly)
    assert [checks[f"queue {name}"]["level"] for name in ("account-events", "refresh", "backfill")] == ["ok"] * 3
    assert checks["slots"]["level"] == "warn"
    assert "0 wait in account-events" in _say(nightly, "status")


def test_a_refusing_or_unavailable_rabbitmq_is_reported_without_its_password(nightly: OnRabbit) -> None:
    refused = _doctor(nightly, BROKER_URL=nightly.node.url.replace("guest:guest", "guest:canary"))["RabbitMQ"]
    assert refused["level"] == "fail"
    assert "user or password" in refused["what"]
    nobody = nightly.node.url.replace("guest:guest", "guest:canary").replace(str(nightly.node.port), "1")
    away = _say(nightly, "status", BROKER_URL=nobody)
    assert "cannot be reached: ConnectionRefusedError" in away
    assert "canary" not in str(refused) + away
