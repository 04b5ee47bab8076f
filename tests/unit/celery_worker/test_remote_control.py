"""The commands that a worker's mailbox answers, and those that it ignores."""

from importlib import import_module
from typing import Any

import pytest
from celery import Celery

from worker.celery_worker.remote_control import PER_SECOND, QUESTIONS, QuietControl, QuietMailbox

CONTROL: Any = import_module("celery.worker.control")
REPLY_TO = {"exchange": "reply.celery.pidbox", "routing_key": "one"}


class Node:
    """A mailbox that records its commands and keeps its replies."""

    def __init__(self) -> None:
        self.called: list[str] = []
        self.answers: list[Any] = []
        handlers = {name: self._handler(name) for name in CONTROL.Panel.data}
        self.node: Any = QuietMailbox("celery", type="fanout").Node("worker@here", handlers=handlers)
        self.node.reply = lambda data, *_: self.answers.append(data["worker@here"])

    def _handler(self, name: str) -> Any:
        def handle(_: object, **arguments: Any) -> Any:
            self.called.append(name)
            if arguments:
                raise TypeError("canary")
            return {"broker": {"transport_options": {"sentinel_kwargs": {"password": "canary"}}}, "pid": 1}

        return handle

    def ask(self, **body: Any) -> Any:
        self.node.handle_message({"reply_to": REPLY_TO, "ticket": "t"} | body)
        return self.answers.pop() if self.answers else None


@pytest.fixture
def node() -> Node:
    return Node()


@pytest.mark.parametrize("method", sorted(set(CONTROL.Panel.data) - QUESTIONS))
def test_a_command_that_changes_the_worker_is_not_executed(node: Node, method: str) -> None:
    assert "remote control is off" in node.ask(method=method)["error"]
    assert node.called == []


def test_every_allowed_request_exists_in_celery(node: Node) -> None:
    assert set(CONTROL.Panel.data) >= QUESTIONS
    for method in QUESTIONS:
        node.node._answered = 0
        assert node.ask(method=method)["pid"] == 1
    assert set(node.called) == QUESTIONS


def test_statistics_leave_out_the_broker_address_with_its_password(node: Node) -> None:
    assert node.ask(method="stats") == {"pid": 1}


def test_the_reply_to_an_error_names_only_its_type(node: Node) -> None:
    assert node.ask(method="ping", arguments={"x": 1}) == {"error": "TypeError"}
    assert node.ask(method="ping", arguments={"self": 1}) == {"error": "TypeError"}


@pytest.mark.parametrize(
    "body",
    [
        {"destination": ["worker@there"]},
        {"pattern": ".*", "matcher": "pcre"},
        {"reply_to": {"exchange": "account-events", "routing_key": "account-events"}},
        {"reply_to": {"exchange": "", "routing_key": "nightly:events"}},
        {"reply_to": "one"},
        {"ticket": "t" * 101},
        {"arguments": []},
    ],
)
def test_a_request_to_another_worker_by_pattern_or_with_a_foreign_reply_queue_is_dropped(
    node: Node, body: dict[str, Any]
) -> None:
    assert node.ask(method="ping", **body) is None
    assert node.called == []


def test_requests_above_the_limit_of_a_second_are_dropped(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("worker.celery_worker.remote_control.time.monotonic", lambda: now[0])
    answered = [node.ask(method="ping") for _ in range(PER_SECOND + 5)]
    assert answered.count(None) == 5
    now[0] += 1
    assert node.ask(method="ping") is not None


def test_the_client_side_of_control_is_that_of_celery() -> None:
    with Celery(broker="memory://", set_as_current=False, control=QuietControl) as app:
        assert isinstance(app.control.mailbox, QuietMailbox)
        assert app.control.inspect(timeout=0.01).ping() is None
