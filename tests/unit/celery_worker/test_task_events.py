"""Task events of the readers: off until Celery's own are on, without arguments, and never blocking."""

from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from worker.celery_worker.task_events import PENDING_BATCHES, DroppingDispatcher, TaskEvents, _events_of
from worker.errors import InvalidEvent


def events_with(dispatcher: object) -> TaskEvents:
    events = TaskEvents(SimpleNamespace())
    events.start(SimpleNamespace(consumer=SimpleNamespace(event_dispatcher=dispatcher), hostname="worker@here"))
    return events


@pytest.mark.parametrize(
    ("enabled", "groups", "is_on"),
    [(True, set(), True), (True, {"worker", "task"}, True), (True, {"worker"}, False), (False, set(), False)],
)
def test_task_events_are_on_when_those_of_celery_are_on(enabled: bool, groups: set[str], is_on: bool) -> None:  # noqa: FBT001
    assert events_with(SimpleNamespace(enabled=enabled, groups=groups)).is_on is is_on


def test_task_events_are_off_before_a_consumer_or_a_dispatcher_exists() -> None:
    assert not TaskEvents(SimpleNamespace()).is_on
    assert not events_with(None).is_on


def test_each_message_is_received_started_and_ended_with_a_share_of_the_runtime() -> None:
    events = events_with(None)
    outcomes: list[Any] = [SimpleNamespace(event_id="evt-1"), InvalidEvent("time: is required")]
    events.add("account.linked", outcomes, began=10.0, ended=12.0)
    found = list(_events_of(events._batches[0]))
    assert [kind for kind, _ in found] == [
        *("task-received", "task-started", "task-succeeded"),
        *("task-received", "task-started", "task-failed"),
    ]
    assert found[0][1] == {
        "uuid": "evt-1",
        "timestamp": 10.0,
        "name": "account.linked",
        "args": "(hidden)",
        "kwargs": "(hidden)",
        "retries": 0,
    }
    assert found[2][1] == {"uuid": "evt-1", "timestamp": 12.0, "result": "(hidden)", "runtime": 1.0}
    assert found[5][1]["exception"] == "time: is required"
    assert len(found[3][1]["uuid"]) == 36


def test_the_oldest_batches_are_dropped_while_none_can_be_published() -> None:
    events = events_with(None)
    for number in range(PENDING_BATCHES + 5):
        events.add(str(number), [], began=0, ended=0)
    assert events._batches[0].task == "5"


def test_an_event_that_cannot_be_sent_is_dropped_and_sending_pauses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried: list[object] = []

    class Producer:
        def publish(self, event: object, **_: object) -> None:
            tried.append(event)
            raise OSError

    monkeypatch.setattr(DroppingDispatcher, "__init__", lambda *_: None)
    dispatcher: Any = DroppingDispatcher()
    dispatcher._resumes_at, dispatcher.buffer_while_offline = 0.0, False
    dispatcher.exchange, dispatcher.serializer = SimpleNamespace(name="celeryev"), "json"
    dispatcher.headers, dispatcher.delivery_mode = {}, 1
    with capture_logs() as lines:
        for event in (1, 2, 3):
            dispatcher._publish(event, Producer(), "worker.heartbeat", retry=True)
    assert tried == [1]
    assert [line["event"] for line in lines] == ["celery_events_dropped"]
