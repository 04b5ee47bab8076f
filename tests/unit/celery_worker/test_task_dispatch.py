"""Each message goes to the task of its type, and the wishes of the tasks match the contract."""

import json
import subprocess
import sys
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from worker.celery_worker.task_dispatch import TaskDispatch
from worker.events.contract import EVENT_TYPES
from worker.intake.messages import CeleryMessage, CloudEventMessage, EventMessage
from worker.vault.vault import new_key

DECLARED = """
import json
from worker.celery_worker.app import app
app.loader.import_default_modules()
tasks = app.tasks.values()
print(json.dumps({task.name: task.wants_active for task in tasks if hasattr(task, "wants_active")}))
"""


class Task:
    """A task that records its batches."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.batches: list[list[EventMessage]] = []

    def accept(self, batch: Sequence[EventMessage]) -> list[Any]:
        self.batches.append(list(batch))
        return ["accepted"] * len(batch)


def test_messages_go_in_batches_to_the_task_of_their_type_and_others_to_intake() -> None:
    linked, inactive, contract = Task("account.linked"), Task("account.inactive"), Task("")
    services = SimpleNamespace(intake=SimpleNamespace(accept_batch=contract.accept))
    tasks = {"account.linked": linked, "account.inactive": inactive, "refresh.reconcile": object()}
    app = SimpleNamespace(tasks=tasks, services=lambda: services, task_events=SimpleNamespace(is_on=False))
    dispatch = TaskDispatch(app)
    first = CeleryMessage("account.linked", (), {}, "one")
    second = CloudEventMessage({"type": "account.inactive"}, b"")
    third = CloudEventMessage({"type": "account.linked"}, b"")
    strange = [CloudEventMessage({"type": name}, b"") for name in ("refresh.reconcile", "no", ["account.linked"])]
    strange.append(CloudEventMessage("account.linked", b""))
    assert len(dispatch([first, second, third, *strange])) == 7
    assert dispatch.accepted == {"account.linked": 2, "account.inactive": 1}
    assert (linked.batches, inactive.batches) == ([[first, third]], [[second]])
    assert sorted(repr(each) for batch in contract.batches for each in batch) == sorted(map(repr, strange))


def test_each_event_type_has_a_task_with_the_same_wish() -> None:
    environment = {
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "FLINKS_AUTH_KEY": "key",
        "LOGIN_KEYS": new_key(),
        "PATH": "/usr/bin:/bin",
    }
    found = subprocess.run(
        [sys.executable, "-c", DECLARED], env=environment, capture_output=True, text=True, check=False
    )
    assert json.loads(found.stdout or "null") == EVENT_TYPES, found.stderr
