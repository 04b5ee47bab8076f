"""Every byte for Sentry is captured by our own Transport and searched for canaries."""

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sentry_sdk
from celery import Celery
from celery.app import trace
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

from tests.places import ROOT
from worker.errors import SettingsError
from worker.telemetry.sentry import configure_sentry, report_gate, report_new_group, report_unexpected

DSN = "https://abcdef@sentry.invalid/1"


class CapturingTransport(Transport):
    """Keeps the events instead of sending them."""

    def __init__(self) -> None:
        super().__init__()
        self.envelopes: list[Envelope] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        self.envelopes.append(envelope)

    @property
    def sent(self) -> str:
        return "\n".join(envelope.serialize().decode() for envelope in self.envelopes)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [dict(event) for envelope in self.envelopes if (event := envelope.get_event()) is not None]


@pytest.fixture
def sentry() -> Iterator[CapturingTransport]:
    transport = CapturingTransport()
    assert configure_sentry(dsn=DSN, environment="test", transport=transport)
    with sentry_sdk.isolation_scope():
        yield transport
    sentry_sdk.get_client().close()
    sentry_sdk.get_global_scope().set_client(None)
    sentry_sdk.get_global_scope().clear()


@pytest.fixture
def assert_clean(sentry: CapturingTransport, canaries: tuple[str, ...]) -> Callable[[], None]:
    def check() -> None:
        assert sentry.events, "nothing was sent, so nothing was proved"
        assert not [canary for canary in canaries if canary in sentry.sent]

    return check


def test_without_a_dsn_sentry_is_off_and_reports_do_nothing() -> None:
    assert not configure_sentry(dsn=None, environment=None)
    assert not configure_sentry(dsn="", environment=None)
    report_gate(instance="toolbox", is_closed=True, cause="halt", code="", http_status="", detail="")


def test_a_process_without_a_dsn_does_not_import_the_sdk() -> None:
    """The import takes a sixth of the start of a worker."""
    code = "import sys, worker.services, worker.celery_worker.bootsteps; sys.exit('sentry_sdk' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True)


def test_a_wrong_dsn_is_reported_without_its_value() -> None:
    with pytest.raises(SettingsError) as caught:
        configure_sentry(dsn="hunter2://x", environment=None)
    assert "SENTRY_DSN" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_halt_is_one_fatal_event_with_a_stable_fingerprint(
    sentry: CapturingTransport, canaries: tuple[str, ...], assert_clean: Callable[[], None]
) -> None:
    detail = f"LoginId {canaries[2]} has now been refused, {canaries[0]} {canaries[1]} flinks-auth-key: {canaries[3]}"
    told = {"instance": "toolbox", "cause": "halt", "code": "ACCESS_DENIED", "http_status": "401"}
    report_gate(is_closed=True, detail=detail, **told)
    (event,) = sentry.events
    assert event["level"] == "fatal"
    assert event["fingerprint"] == ["gate", "toolbox", "closed", "halt", "ACCESS_DENIED"]
    assert event["tags"] == told
    assert event["message"].startswith("Calls to Flinks halted")
    assert (event["environment"], len(event["event_id"])) == ("test", 32)
    assert_clean()


@pytest.mark.parametrize(
    ("is_closed", "cause", "level", "words"),
    [
        (True, "storm", "fatal", "one login after another"),
        (True, "outage", "error", "is down"),
        (True, "operator", "info", "by hand"),
        (False, "operator", "info", "resumed"),
        (False, "Flinks answers again", "info", "resumed"),
    ],
)
def test_the_level_of_a_gate_report_depends_on_its_cause(
    sentry: CapturingTransport,
    is_closed: bool,  # noqa: FBT001 - a parameter
    cause: str,
    level: str,
    words: str,
) -> None:
    report_gate(instance="toolbox", is_closed=is_closed, cause=cause, code="", http_status="", detail="")
    (event,) = sentry.events
    assert event["level"] == level
    assert words in event["message"]


def test_a_new_kind_of_dead_letter_is_one_warning(sentry: CapturingTransport) -> None:
    report_new_group(instance="toolbox", code="INVALID_LOGIN", wish="off")
    (event,) = sentry.events
    assert event["level"] == "warning"
    assert event["fingerprint"] == ["dead-letters", "toolbox", "INVALID_LOGIN", "off"]
    assert event["tags"] == {"instance": "toolbox", "code": "INVALID_LOGIN", "wish": "off"}


def test_an_unexpected_exception_is_reported_without_its_variables(
    sentry: CapturingTransport, canaries: tuple[str, ...], assert_clean: Callable[[], None]
) -> None:
    def fail(login: str) -> None:
        held_in_a_local = {"login_id": login}
        url = f"https://toolbox-api.private.fin.ag/v3/x?loginId={login}"
        try:
            raise KeyError(login, held_in_a_local)  # noqa: TRY301 - the chain is the test
        except KeyError as cause:
            raise ValueError(f"'{login}' at {url!r}") from cause

    for canary in canaries:
        sentry_sdk.add_breadcrumb(message=f"called loginId='{canary}'", data={"loginId": canary, "args": [canary]})
        sentry_sdk.set_extra("kwargs", {"x": canary})
        sentry_sdk.set_user({"id": canary})
        sentry_sdk.set_context("request", {"body": canary})
        try:
            fail(canary)
        except ValueError as error:
            report_unexpected(error, where="reconcile.settle", instance="toolbox")
    assert len(sentry.events) == len(canaries)
    event = sentry.events[0]
    assert event["fingerprint"] == ["unexpected", "reconcile.settle", "ValueError"]
    assert event["tags"] == {"where": "reconcile.settle", "instance": "toolbox"}
    assert [value["type"] for value in event["exception"]["values"]] == ["KeyError", "ValueError"]
    assert event["breadcrumbs"]["values"][0]["message"] == "called loginId=[masked]"
    frame = event["exception"]["values"][-1]["stacktrace"]["frames"][-1]
    assert (frame["function"], frame["lineno"] > 0) == ("fail", True)
    assert not {"vars", "context_line", "pre_context", "post_context"} & frame.keys()
    assert_clean()


@pytest.fixture
def app() -> Iterator[Celery]:
    app = Celery("leaky", broker="memory://", backend=None, set_as_current=False)
    yield app
    app.close()


def _run(app: Celery, task: Any, kwargs: dict[str, object], **request: object) -> None:
    """Run the task as a pool's child does."""
    tracer = trace.build_tracer(task.name, task, app=app)
    context = {"id": "task-1", "delivery_info": {}, "headers": {}, "kwargsrepr": repr(kwargs), **request}
    tracer("task-1", [], kwargs, context)


def test_a_task_that_fails_is_reported_without_its_arguments(
    sentry: CapturingTransport, app: Celery, canaries: tuple[str, ...], assert_clean: Callable[[], None]
) -> None:
    @app.task(name="account.linked", ignore_result=True)
    def linked(**kwargs: str) -> None:
        raise KeyError(kwargs["login_id"])

    for canary in canaries:
        _run(app, linked, {"login_id": canary})
    assert len(sentry.events) == len(canaries)
    assert sentry.events[0]["extra"]["celery-job"] == {
        "task_name": "account.linked",
        "args": "[masked]",
        "kwargs": "[masked]",
    }
    assert_clean()


def test_an_exception_that_a_task_reports_and_then_raises_is_reported_once(
    sentry: CapturingTransport, app: Celery
) -> None:
    @app.task(name="refresh.reconcile", ignore_result=True)
    def reconcile() -> None:
        try:
            raise LookupError  # noqa: TRY301 - so is this
        except LookupError as error:
            report_unexpected(error, where="reconcile")
            raise

    _run(app, reconcile, {})
    (event,) = sentry.events
    assert event["tags"]["where"] == "reconcile"


def test_a_producer_cannot_switch_tracing_on(sentry: CapturingTransport, app: Celery) -> None:
    @app.task(name="account.linked", ignore_result=True)
    def linked() -> None:
        report_new_group(instance="toolbox", code="ran", wish="on")

    sampled = f"{'a' * 32}-{'b' * 16}-1"
    _run(app, linked, {}, headers={"sentry-trace": sampled})
    assert [event.get("type") for event in sentry.events] == [None]


def test_no_log_line_becomes_an_event_or_a_breadcrumb(sentry: CapturingTransport, canaries: tuple[str, ...]) -> None:
    logging.getLogger("celery.worker.consumer.consumer").error("Received unregistered task: %s", canaries)
    report_new_group(instance="toolbox", code="INVALID_LOGIN", wish="off")
    (event,) = sentry.events
    assert event["breadcrumbs"] == {"values": []}


def test_an_event_that_quotes_a_message_is_sent_without_it(
    sentry: CapturingTransport, canaries: tuple[str, ...], assert_clean: Callable[[], None]
) -> None:
    body = repr({"login_id": canaries})
    sentry_sdk.capture_event(
        {
            "message": f"Received unregistered task. The full contents of the message body was: {body}",
            "logentry": {"message": "Received %s", "params": [body]},
            "request": {"url": f"https://host/?loginId={canaries[0]}", "data": body},
            "user": {"id": canaries[1]},
            "extra": {"argv": list(canaries), "celery-job": {"kwargs": body}},
            "tags": {"login_id": canaries[2]},
            "contexts": {"message": {"body": body}},
            "threads": {"values": [{"stacktrace": {"frames": [{"vars": {"x": body}}]}}]},
        }
    )
    assert not {"request", "user", "threads"} & sentry.events[0].keys()
    assert_clean()


@pytest.mark.usefixtures("sentry")
def test_no_integration_sends_headers_or_the_command_line() -> None:
    options = sentry_sdk.get_client().options
    assert options["trace_propagation_targets"] == []
    assert options["traces_sample_rate"] is None
    assert set(sentry_sdk.get_client().integrations) == {"celery", "atexit", "dedupe", "modules"}
