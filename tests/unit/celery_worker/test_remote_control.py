"""What a worker's mailbox answers, and what it never gives away or does."""

from importlib import import_module
from typing import Any

import pytest
from celery import Celery

from worker.celery_worker.remote_control import PER_SECOND, QUESTIONS, QuietControl, QuietMailbox

CONTROL: Any = import_module("celery.worker.control")
REPLY_TO = {"exchange": "reply.celery.pidbox", "routing_key": "one"}


class Node:
    """A mailbox whose commands only note that they were called, and whose answers are kept."""

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
def test_a_command_that_is_no_question_is_not_carried_out(node: Node, method: str) -> None:
    assert "remote control is off" in node.ask(method=method)["error"]
    assert node.called == []


def test_every_question_is_one_of_celery_s(node: Node) -> None:
    assert set(CONTROL.Panel.data) >= QUESTIONS
    for method in QUESTIONS:
        node.node._answered = 0
        assert node.ask(method=method)["pid"] == 1
    assert set(node.called) == QUESTIONS


def test_statistics_hold_nothing_of_the_broker_where_passwords_are(node: Node) -> None:
    assert node.ask(method="stats") == {"pid": 1}


def test_of_an_error_the_answer_names_the_kind_alone(node: Node) -> None:
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
def test_a_question_to_another_by_pattern_or_answered_elsewhere_is_dropped(node: Node, body: dict[str, Any]) -> None:
    assert node.ask(method="ping", **body) is None
    assert node.called == []


def test_more_questions_in_a_second_than_a_worker_has_time_for_are_dropped(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr("worker.celery_worker.remote_control.time.monotonic", lambda: now[0])
    answered = [node.ask(method="ping") for _ in range(PER_SECOND + 5)]
    assert answered.count(None) == 5
    now[0] += 1
    assert node.ask(method="ping") is not None


def test_as_a_client_the_app_s_control_is_celery_s_own() -> None:
    with Celery(broker="memory://", set_as_current=False, control=QuietControl) as app:
        assert isinstance(app.control.mailbox, QuietMailbox)
        assert app.control.inspect(timeout=0.01).ping() is None
