"""Log lines of libraries: they keep their template, and values that cannot quote a message."""

import logging
from importlib import import_module
from typing import Any

import pytest
from celery.app import trace
from celery.utils.log import get_logger as get_celery_logger

from tests.unit.telemetry.captured import Lines
from worker.telemetry.foreign import describe_foreign

CONSUMER: Any = import_module("celery.worker.consumer.consumer")  # Any: the stubs omit the texts
TASK_ID = "5e115eab-1111-4000-8000-00000c0ffee1"


def test_celery_lines_that_quote_a_message_are_logged_without_it(lines: Lines, canaries: tuple[str, ...]) -> None:
    body = repr({"login_id": canaries}) + str(canaries)
    headers = {"task": "account.linkd", "id": TASK_ID, "kwargsrepr": body}
    log = logging.getLogger("celery.worker.consumer.consumer")
    log.error(CONSUMER.UNKNOWN_TASK_ERROR, KeyError(body), body, headers, {"routing_key": "account-events"})
    log.warning(CONSUMER.UNKNOWN_FORMAT, body)
    log.error(CONSUMER.INVALID_TASK_ERROR, ValueError(body), body)
    log.critical(CONSUMER.MESSAGE_DECODE_ERROR, ValueError(body), "json", "utf-8", headers, body)
    log.error("Couldn't convert ETA %r to timestamp: %r. Task: %r", canaries[0], OverflowError(body), {"kwargs": body})
    logging.getLogger("kombu.transport.redis").critical("Could not restore message: %r", {"body": body})
    logging.getLogger("celery.pool").debug("TaskPool: Apply %s (args:%s kwargs:%s)", log, body, body)
    assert [line["event"] for line in lines.all] == [
        "unregistered_task_discarded",
        "unknown_message_discarded",
        "invalid_task_discarded",
        "undecodable_message_discarded",
        "task_with_wrong_eta_rejected",
        "message_not_restored",
        "task_handed_to_pool",
    ]
    shown = lines.all[0]
    assert (shown["task"], shown["task_id"], shown["queue"]) == ("account.linkd", TASK_ID, "account-events")
    assert not [canary for canary in canaries if canary in lines.text]


@pytest.mark.parametrize(
    ("template", "event"),
    [
        (trace.LOG_RECEIVED, "task_received"),
        (trace.LOG_SUCCESS, "task_succeeded"),
        (trace.LOG_FAILURE, "task_raised"),
        (trace.LOG_IGNORED, "task_ignored"),
        (trace.LOG_REJECTED, "task_rejected"),
        (trace.LOG_RETRY, "task_retried"),
    ],
)
def test_celery_lines_about_a_task_keep_its_name_and_id(
    lines: Lines, canaries: tuple[str, ...], template: str, event: str
) -> None:
    held = repr(canaries)
    context: dict[str, Any] = {"name": "account.linked", "id": TASK_ID, "runtime": 0.25, "description": "raised"}
    context |= {"args": held, "kwargs": held, "exc": held, "return_value": held, "traceback": held}
    get_celery_logger("celery.app.trace").info(template.strip(), context, extra={"data": context})
    assert (lines.last["event"], lines.last["task"], lines.last["task_id"]) == (event, "account.linked", TASK_ID)
    assert not [canary for canary in canaries if canary in lines.text]


def test_an_invalid_task_name_or_id_is_masked() -> None:
    context = {"name": "{'login_id': 'maple'}", "id": "maple"}
    assert describe_foreign("celery.app.trace", trace.LOG_RECEIVED, context) == {
        "event": "task_received",
        "task": "[masked]",
        "task_id": "[masked]",
    }


@pytest.mark.parametrize(
    ("template", "arguments", "message"),
    [
        ("Connected to %s", ("redis://:pa55@localhost:6379/0",), "Connected to redis://[masked]@localhost:6379/0"),
        ("%s ready.", ("celery@host",), "celery@host ready."),
        ("scaling to %d, %r", (3, "fast"), "scaling to 3, fast"),
        ("held %s", ({"login_id": "maple"},), "held [dict]"),
        ("held %r", ('{"loginId": "maple"}',), "held [str]"),
        ("held %r", (b"maple",), "held [bytes]"),
        ("lost: %r", (KeyError("maple"),), "lost: KeyError: [masked]"),
        ("filled in: {'login_id': 'maple'}", (), "filled in: {[masked]: [masked]}"),
        ("two\n  lines", None, "two lines"),
        ("wrong %d", ("maple",), "wrong %d"),
        ("missing %(name)s", {"other": 1}, "missing %(name)s"),
    ],
)
def test_other_lines_of_libraries_keep_their_template_and_plain_values(
    template: str, arguments: object, message: str
) -> None:
    assert describe_foreign("celery.any", template, arguments) == {"event": "library_reported", "message": message}
