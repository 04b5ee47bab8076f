"""The log of a worker: the life of each event by its id, and nothing but JSON."""

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from sandbox.stack import ManagedProcess, OrphanGuard
from sandbox.stack.stack import EMULATOR_KEY
from tests.integration.celery_worker.conftest import Nightly, cloud_event, new_logins
from tests.places import ROOT
from tests.waiting import eventually
from worker.broker.celery_config import kombu_address

WORKER = [sys.executable, "-m", "celery", "-A", "worker", "worker"]


def lines_of(output: str) -> list[dict[str, Any]]:
    """Return every line of stdout and stderr; raises ValueError if one is not JSON."""
    return [json.loads(line) for line in output.splitlines()]


def life_of(event_id: str, lines: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return what `grep` finds of an event."""
    found = [line for line in lines if event_id in json.dumps(line)]
    return [(line["event"], f"{line['result']} {line.get('attempt', '')}".strip()) for line in found]


def test_the_log_shows_the_life_of_each_event_and_is_only_json(nightly: Nightly) -> None:
    failing, unknown, linked, by_celery = new_logins(4)
    nightly.emulator.unknown_logins(unknown)
    nightly.emulator.faults({"knob": "server_error", "logins": [failing], "times": 1})
    names = {name: f"{name}-{uuid.uuid4()}" for name in ("fails", "dead", "linked", "late", "wrong")}
    worker = nightly.stack.start_worker()
    nightly.send([cloud_event(linked, on=True, minute=5, name=names["linked"])] * 2)
    nightly.send(
        [
            cloud_event(failing, on=True, minute=0, name=names["fails"]),
            cloud_event(unknown, on=True, minute=0, name=names["dead"]),
            cloud_event(linked, on=False, minute=0, name=names["late"]),
            cloud_event(linked, on=False, minute=0, name=names["wrong"])
            | {"data": {"loginId": linked, "instance": "eu"}},
        ]
    )
    with Celery(broker=kombu_address(nightly.stack.environment["REDIS_URL"])[0]) as producer:
        kwargs = {"login_id": by_celery, "occurred_at": "2026-11-22T10:09:00Z"}
        task_id = str(producer.send_task("account.linked", kwargs=kwargs, queue="account-events").id)
    eventually(lambda: nightly.tally().get("applied_on", 0) == 3, seconds=20, describe="three applied events")
    nightly.comes_to_rest()
    worker.stop()

    lines = lines_of(worker.output())
    assert {name: life_of(event_id, lines) for name, event_id in names.items()} == {
        "linked": [
            ("event_received", "recorded"),
            ("event_received", "duplicate"),
            ("call_settled", "applied 1"),
        ],
        "fails": [
            ("event_received", "recorded"),
            ("call_settled", "waiting 1"),
            ("call_settled", "applied 2"),
        ],
        "dead": [("event_received", "recorded"), ("call_settled", "dead_lettered 1")],
        "late": [("event_received", "superseded")],
        "wrong": [("event_received", "rejected")],
    }
    assert life_of(task_id, lines) == [("event_received", "recorded"), ("call_settled", "applied 1")]
    of_failing = [line for line in lines if line.get("login") == nightly.reference(failing)]
    assert [(line["instance"], line["wish"]) for line in of_failing] == [("toolbox", "on")] * 3
    assert [line["event"] for line in lines if line["event"].startswith("task_")] == [], "Celery's own lines"
    events = [line["event"] for line in lines]
    assert [events.count(event) for event in ("worker_started", "worker_stopping", "worker_stopped")] == [1, 1, 1]
    assert not [login for login in (failing, unknown, linked, by_celery) if login in worker.output()]


def test_a_worker_that_waits_for_redis_logs_only_json(
    tmp_path: Path, orphan_guard: OrphanGuard, login_keys: str
) -> None:
    settings = {"REDIS_URL": f"unix://{tmp_path}/none.sock", "LOGIN_KEYS": login_keys, "FLINKS_AUTH_KEY": EMULATOR_KEY}
    env = _environment(settings)
    worker = ManagedProcess("worker", WORKER, env=env, log_path=tmp_path / "log", cwd=tmp_path, guard=orphan_guard)
    try:
        worker.start().wait_ready(lambda: "ledger_unreachable" in worker.output(), seconds=30)
        worker.stop()
    finally:
        worker.stop(0)
    assert {"ledger_unreachable", "worker_stopping"} <= {line["event"] for line in lines_of(worker.output())}


@pytest.mark.parametrize(("wrong", "name"), [({"METRICS_PORT": "canary"}, "METRICS_PORT"), ({}, "FLINKS_AUTH_KEY")])
def test_a_wrong_or_missing_setting_stops_a_worker_with_one_line_of_json(
    tmp_path: Path, login_keys: str, wrong: dict[str, str], name: str
) -> None:
    settings = {"REDIS_URL": "redis://localhost", "LOGIN_KEYS": login_keys, **wrong}
    ran = subprocess.run(WORKER, env=_environment(settings), cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (2, "")
    reasons = [line["reason"] for line in lines_of(ran.stderr) if line["event"] == "start_refused"]
    assert [reason.partition(":")[0] for reason in reasons] == [name]
    assert len(ran.stderr.splitlines()) == len(reasons)


def _environment(settings: dict[str, str]) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "LOG_FORMAT": "json", "SANDBOX": "1"} | settings
