"""A real Celery worker with task events and foreign messages shows no canary anywhere."""

import json
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from sandbox.stack import ManagedProcess, OrphanGuard
from tests.places import ROOT
from tests.waiting import eventually
from worker.broker.celery_config import kombu_address

QUEUE = "account-events"
CANARIES = ("5e115eab-0000-4000-8000-00000c0ffee1", "L0gin-canary-abcdef-123456", "maple-tree", "k3y-canary-0123456789")
APP = """
import os
import sentry_sdk
from celery import Celery, signals
from celery.concurrency.asynpool import AsynPool
from sentry_sdk.transport import Transport
from worker.telemetry.logs import configure_logging
from worker.telemetry.sentry import configure_sentry


class ToFile(Transport):
    def capture_envelope(self, envelope):
        with open("envelopes", "ab") as file:
            file.write(envelope.serialize())


AsynPool.timers = property(lambda pool: {pool.maintain_pool: 0.2})  # it looks for dead children every 5 s
configure_sentry(dsn="https://key@sentry.invalid/1", environment="test", transport=ToFile())
app = Celery("leaky", broker=os.environ["REDIS_URL"])
app.conf.update(task_ignore_result=True, worker_send_task_events=True, broker_connection_retry_on_startup=True,
                task_create_missing_queues=True)
signals.setup_logging.connect(lambda **_: configure_logging(log_format="json", log_level="DEBUG"), weak=False)


@app.task(name="account.linked", Request="worker.celery_worker.redacted_request:RedactedRequest", acks_late=True)
def linked(login_id, outcome="return"):
    if outcome == "raise":
        raise KeyError(login_id)
    if outcome == "kill":
        os.kill(os.getpid(), 9)
    return login_id
"""


@pytest.fixture
def app(redis_url: str) -> Iterator[Celery]:
    with closing(Celery("producer", broker=kombu_address(redis_url)[0], set_as_current=False)) as app:
        yield app


@pytest.fixture
def worker(redis_url: str, tmp_path: Path, orphan_guard: OrphanGuard) -> Iterator[ManagedProcess]:
    (tmp_path / "leaky.py").write_text(APP)
    argv = [
        sys.executable,
        "-m",
        "celery",
        "--quiet",
        "-A",
        "leaky",
        "worker",
        "-c",
        "1",
        "-Q",
        QUEUE,
        "-E",
        "-n",
        "leaky@%h",
    ]
    env = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}", "REDIS_URL": kombu_address(redis_url)[0]}
    process = ManagedProcess("leaky", argv, env=env, log_path=tmp_path / "log", cwd=tmp_path, guard=orphan_guard)
    try:
        process.start().wait_ready(lambda: "ready." in process.output(), seconds=30)
        yield process
    finally:
        process.stop(grace_seconds=0)


def _lines(worker: ManagedProcess) -> list[dict[str, Any]]:
    return [json.loads(line) for line in worker.output().splitlines() if line.startswith("{")]


def _count(worker: ManagedProcess, event: str) -> int:
    return sum(line["event"] == event for line in _lines(worker))


def _send_everything(app: Celery) -> None:
    for canary in CANARIES:
        for outcome in ("return", "raise"):
            kwargs = {"login_id": canary, "outcome": outcome}
            app.send_task("account.linked", kwargs=kwargs, queue=QUEUE, argsrepr=canary, kwargsrepr=repr(kwargs))
        app.send_task("account.linkd", kwargs={"login_id": canary}, queue=QUEUE)
        app.send_task("account.linked", kwargs={"login_id": canary}, queue=QUEUE, headers={"eta": canary})
        app.send_task("account.linked", kwargs={canary: canary}, queue=QUEUE)
        with app.connection_for_write() as connection:
            queue = connection.SimpleQueue(QUEUE)
            queue.put({"login_id": canary})
            queue.close()
    app.send_task("account.linked", kwargs={"login_id": CANARIES[0], "outcome": "kill"}, queue=QUEUE)


@contextmanager
def _listening(app: Celery) -> Iterator[list[dict[str, Any]]]:
    """Collect every Celery event, from when the worker has answered a request for a heartbeat."""
    told: list[dict[str, Any]] = []
    with app.connection_for_read() as connection:
        receiver: Any = app.events.Receiver(connection, handlers={"*": told.append})
        thread = threading.Thread(target=receiver.capture, kwargs={"limit": None, "timeout": None, "wakeup": True})
        thread.start()
        try:
            eventually(lambda: told, describe="the first event")
            yield told
        finally:
            receiver.should_stop = True
            thread.join(timeout=10)


def test_no_login_or_key_appears_in_logs_events_or_sentry_of_a_worker(
    worker: ManagedProcess, app: Celery, tmp_path: Path
) -> None:
    with _listening(app) as told:
        _send_everything(app)
        eventually(lambda: "SIGKILL" in worker.output(), seconds=40, describe="the killed process")
        eventually(lambda: {"task-received", "task-succeeded", "task-failed"} <= {event["type"] for event in told})
    expected = {
        "task_received": 13,
        "task_succeeded": 4,
        "task_raised": 8,
        "unregistered_task_discarded": 4,
        "invalid_task_discarded": 4,
        "unknown_message_discarded": 4,
    }
    assert {event: _count(worker, event) for event in expected} == expected
    envelopes = (tmp_path / "envelopes").read_text()
    assert envelopes.count('"type":"KeyError"') + envelopes.count('"type": "KeyError"') >= len(CANARIES)
    everything = {"log": worker.output(), "events": str(told), "sentry": envelopes}
    assert not [(place, canary) for place, text in everything.items() for canary in CANARIES if canary in text]


def test_every_line_of_a_worker_is_json(worker: ManagedProcess, app: Celery) -> None:
    app.send_task("account.linked", kwargs={"login_id": CANARIES[0]}, queue=QUEUE)
    eventually(lambda: _count(worker, "task_succeeded"), describe="the task")
    after_banner = worker.output()[worker.output().index('{"timestamp"') :]
    assert all(line.startswith("{") for line in after_banner.splitlines() if line.strip())
