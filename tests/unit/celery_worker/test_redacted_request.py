"""The arguments of a message appear in nothing that Celery logs or sends, in the parent and in the pool's child."""

import json
import logging
import pickle
import uuid
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import pytest
from billiard.einfo import ExceptionInfo
from billiard.exceptions import WorkerLostError
from celery import Celery
from celery.app import trace
from celery.worker import request as celery_request
from celery.worker import state, strategy
from kombu import Connection

from worker.celery_worker.redacted_request import HIDDEN, RedactedRequest

CONTROL: Any = import_module("celery.worker.control")  # Any: the stubs are incomplete
CANARY = "maple tree"
QUEUE = "account-events"


class Events:
    """A stand-in for the event dispatcher."""

    enabled = True
    hostname = "test"

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def send(self, type: str, **fields: Any) -> None:  # noqa: A002 - Celery's signature
        self.sent.append({"type": type, **fields})


class Consumer:
    """The parts of a consumer that a strategy uses."""

    hostname = "test"
    connection_errors = ()
    disable_rate_limits = True
    controller = type("Controller", (), {"state": state})
    timer = type("Timer", (), {"call_at": None})
    pool = type("Pool", (), {"apply_async": None})
    task_buckets: dict[str, None] = {}  # noqa: RUF012 - read only
    apply_eta_task = _limit_task = _limit_post_eta = None

    def __init__(self, app: Celery, events: Events) -> None:
        self.app, self.event_dispatcher = app, events
        self.requests: list[Any] = []

    def on_task_request(self, request: Any) -> None:
        self.requests.append(request)


@pytest.fixture
def app() -> Iterator[Celery]:
    app = Celery("quiet", broker="memory://", backend="disabled://", set_as_current=False)
    app.conf.task_ignore_result = True
    yield app
    app.close()


@pytest.fixture
def linked(app: Celery) -> Any:
    @app.task(name="account.linked", Request="worker.celery_worker.redacted_request:RedactedRequest", acks_late=True)
    def linked(**kwargs: str) -> None:
        raise KeyError(kwargs["login_id"])

    return linked


@pytest.fixture
def message(app: Celery, linked: Any) -> Iterator[Any]:
    """A message as a foreign producer sends it: with its arguments in the headers too."""
    del linked
    queue = f"{QUEUE}-{uuid.uuid4()}"
    with Connection("memory://") as connection, connection.channel() as opened:
        channel: Any = opened
        kwargs = {"login_id": CANARY}
        app.send_task("account.linked", kwargs=kwargs, queue=queue, argsrepr=CANARY, kwargsrepr=repr(kwargs))
        found = channel.basic_get(queue)
        assert CANARY in found.headers["kwargsrepr"], "the message contains nothing that could leak"
        yield found


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
def receive(app: Celery, linked: Any, message: Any, events: Events) -> Iterator[Callable[[], Any]]:
    """Put the message through Celery's own strategy, as a worker does."""

    def receive() -> Any:
        consumer = Consumer(app, events)
        handle = strategy.default(linked, app, consumer)
        handle(message, None, message.ack_log_error, message.reject_log_error, [])
        return consumer.requests[0]

    yield receive
    for group in (state.reserved_requests, state.active_requests):
        group.clear()
    state.requests.clear()


def test_the_log_and_the_event_of_receipt_hold_no_argument(
    receive: Callable[[], Any], events: Events, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="celery.worker.strategy"):
        request = receive()
    (record,) = [record for record in caplog.records if record.name == "celery.worker.strategy"]
    assert record.data["kwargs"] == HIDDEN  # type: ignore[attr-defined]  # Celery adds it
    (received,) = events.sent
    assert (received["type"], received["args"], received["kwargs"]) == ("task-received", HIDDEN, HIDDEN)
    assert CANARY not in repr(request) + str(request) + str(events.sent) + str(record.__dict__)


def test_the_task_still_gets_its_arguments(receive: Callable[[], Any]) -> None:
    assert receive().kwargs == {"login_id": CANARY}


def test_inspection_shows_the_request_without_arguments(receive: Callable[[], Any]) -> None:
    request = receive()
    state.task_accepted(request)
    panel = type("State", (), {"tset": set})
    answers = [
        CONTROL.active(panel),
        CONTROL.active(panel, safe=True),
        CONTROL.query_task(panel, [request.id]),
        request.info(),
        request.info(safe=True),
    ]
    assert all(request.id in str(answer) for answer in answers)
    assert CANARY not in json.dumps(answers, default=repr)


def test_a_pool_child_logs_no_argument_when_the_task_fails(
    receive: Callable[[], Any], app: Celery, linked: Any, caplog: pytest.LogCaptureFixture
) -> None:
    request = receive()
    tracer = trace.build_tracer(linked.name, linked, app=app)
    tracer(request.id, request.args, request.kwargs, request.request_dict)
    (record,) = [record for record in caplog.records if record.name == "celery.app.trace"]
    assert (record.data["args"], record.data["kwargs"]) == (HIDDEN, HIDDEN)  # type: ignore[attr-defined]  # Celery's


@pytest.mark.parametrize("error", [KeyError(CANARY), ValueError(f"wrong: '{CANARY}'")])
def test_the_event_of_a_failure_holds_neither_text_nor_traceback(
    receive: Callable[[], Any], events: Events, error: Exception
) -> None:
    request = receive()
    request.on_failure(_info_of(error))
    (failed,) = [event for event in events.sent if event["type"] == "task-failed"]
    assert failed["traceback"] == HIDDEN
    assert failed["exception"].startswith(type(error).__name__)
    assert CANARY not in str(events.sent)


def test_a_lost_process_is_reported_as_in_celery(receive: Callable[[], Any], events: Events) -> None:
    receive().on_failure(_info_of(WorkerLostError("Worker exited prematurely: signal 9 (SIGKILL).")))
    (failed,) = [event for event in events.sent if event["type"] == "task-failed"]
    assert failed["exception"].startswith("WorkerLostError")
    assert CANARY not in str(events.sent)


def test_the_event_of_a_success_holds_no_result(receive: Callable[[], Any], events: Events) -> None:
    receive().on_success((False, CANARY, 0.5))
    (succeeded,) = [event for event in events.sent if event["type"] == "task-succeeded"]
    assert (succeeded["result"], succeeded["runtime"]) == (HIDDEN, 0.5)


def test_without_this_class_the_arguments_leak(app: Celery, linked: Any, message: Any, events: Events) -> None:
    """The tests above can fail: Celery's own request shows everything."""
    linked.Request = "celery.worker.request:Request"
    consumer = Consumer(app, events)
    strategy.default(linked, app, consumer)(message, None, message.ack, message.reject, [])
    assert CANARY in str(events.sent)
    assert CANARY in repr(consumer.requests[0])
    state.reserved_requests.clear()
    state.requests.clear()


def test_celery_builds_its_request_class_from_ours(app: Celery, linked: Any, events: Events) -> None:
    make: Any = vars(celery_request)["create_request_cls"]
    made = make(RedactedRequest, linked, Consumer.pool, "test", events, app=app)
    assert issubclass(made, RedactedRequest)


def _info_of(error: Exception) -> ExceptionInfo:
    """Return the pickled and unpickled error, as the pool hands it over."""
    try:
        raise error
    except type(error):
        return pickle.loads(pickle.dumps(ExceptionInfo()))  # type: ignore[no-any-return]  # pickle cannot tell
