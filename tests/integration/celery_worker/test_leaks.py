"""P7: after every kind of failure, nothing that was written contains a loginId or a key."""

import base64
import os
import signal
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from celery import Celery

from sandbox.stack.readiness import answers_ping
from sandbox.stack.redis_server import free_port
from tests.integration.celery_worker.conftest import Nightly, cloud_event
from tests.leaks import leaks, logs_in, output_of, redis_contents
from tests.ledger_calls import list_letters
from tests.sentry_ingest import SentryIngest
from tests.waiting import eventually
from worker.broker.celery_config import kombu_address

GUID = "5e1f0aaa-1111-4222-8333-c0ffee00c0de"
WORDY = "L0gin-canary-abcdef-123456"
LETTERS = "CanaryOfLettersAlone"
UNKNOWN = "5e1f0bbb-1111-4222-8333-c0ffee00c0de"
BROKEN = "broken-canary\n-777777"
LOGINS = (GUID, WORDY, LETTERS, UNKNOWN, BROKEN)
KEY = "auth-key-canary-31415926"


@pytest.fixture
def sentry() -> Iterator[SentryIngest]:
    with SentryIngest() as ingest:
        yield ingest


@pytest.fixture
def metrics_port() -> int:
    return free_port()


@pytest.fixture
def settings_for_workers(sentry: SentryIngest, metrics_port: int) -> dict[str, str]:
    return {
        "FLINKS_AUTH_KEY": KEY,
        "FLINKS_TIMEOUT_SECONDS": "1",
        "FLINKS_SETTLE_SECONDS": "1",
        "LOG_LEVEL": "DEBUG",
        "METRICS_PORT": str(metrics_port),
        "RETRY_MAX_ATTEMPTS": "2",
        "SENTRY_DSN": sentry.dsn,
    }


def _mistreat(nightly: Nightly) -> None:
    """Send canaries in the right fields and in wrong ones."""
    nightly.emulator.unknown_logins(UNKNOWN)
    nightly.emulator.faults(
        {"knob": "server_error", "logins": [WORDY], "message": f"no such {WORDY} here", "times": 1},
        {"knob": "flinks_error", "logins": [LETTERS], "code": "INVALID_USERNAME", "message": f"who is {LETTERS}?"},
        {"knob": "latency", "milliseconds": 20},
    )
    events = [cloud_event(login, on=True, minute=0) for login in LOGINS]
    named = cloud_event(GUID, on=False, minute=1, name=f"link-{GUID.upper()}") | {"subject": f"customer-{GUID}"}
    encoded = cloud_event(WORDY, on=False, minute=1, name=f"link-{base64.b64encode(WORDY.encode()).decode()}")
    encoded["subject"] = f"acct/{WORDY.encode().hex()}"
    misplaced = [
        cloud_event(GUID, on=True, minute=0) | {"time": WORDY},
        cloud_event(GUID, on=True, minute=0) | {"type": LETTERS},
        cloud_event(GUID, on=True, minute=0) | {"data": {"loginId": GUID, WORDY: LETTERS, "instance": LETTERS}},
        {LETTERS: WORDY},
    ]
    nightly.send([*events, named, encoded, *misplaced])
    nightly.redis.xadd("account-events:stream", {"event": b'{"data": "' + WORDY.encode() + b'"', WORDY: LETTERS})
    nightly.redis.xadd("account-events:stream", {WORDY: LETTERS})
    with Celery(broker=kombu_address(nightly.stack.environment["REDIS_URL"])[0]) as producer:
        for kwargs in (
            {"login_id": GUID, "occurred_at": "2026-11-22T10:09:00Z", "event_id": f"e-{GUID}"},
            {"login_id": BROKEN, "occurred_at": WORDY},
            {"login_id": LETTERS, "occurred_at": "2026-11-22T10:09:00Z", LETTERS: WORDY},
        ):
            producer.send_task("account.linked", kwargs=kwargs, queue="account-events")
        producer.send_task("account.linked", args=[WORDY, LETTERS], queue="account-events")
        producer.send_task("account.unheard_of", kwargs={"login_id": WORDY}, args=[LETTERS], queue="account-events")


@contextmanager
def _celery_events(app: Celery) -> Iterator[list[str]]:
    """Collect every Celery event, as Flower or a monitor would."""
    heard: list[str] = []
    with app.connection_for_read() as connection:
        receiver: Any = app.events.Receiver(connection, handlers={"*": lambda event: heard.append(repr(event))})
        thread = threading.Thread(target=receiver.capture, kwargs={"limit": None, "timeout": None, "wakeup": True})
        thread.start()
        try:
            yield heard
        finally:
            receiver.should_stop = True
            thread.join()


def test_no_login_and_no_key_leaks_anywhere(nightly: Nightly, sentry: SentryIngest, metrics_port: int) -> None:
    broker = nightly.stack.environment["REDIS_URL"]
    talkative = [sys.executable, "-m", "celery", "-A", "worker", "worker", "-E", "-n", "talkative@%h"]
    worker = nightly.stack.start_process(
        "worker-talkative", talkative, ready=lambda _: answers_ping(broker, "talkative")
    )
    with Celery(broker=kombu_address(broker)[0]) as remote, _celery_events(remote) as heard:
        _mistreat(nightly)
        eventually(lambda: nightly.tally().get("calls", 0) >= 4, seconds=20, describe="calls")
        inspected = repr([remote.control.inspect(timeout=1).active(), remote.control.inspect(timeout=1).reserved()])
        for pid in worker.children():
            os.kill(pid, signal.SIGKILL)
        nightly.comes_to_rest(seconds=40)
        eventually(lambda: len(heard) > 5, describe="Celery events")
    eventually(lambda: sentry.envelopes, describe="Sentry envelopes")

    letters = list_letters(nightly.services.letters)
    assert {letter.code for letter in letters} >= {"INVALID_LOGIN", "INVALID_USERNAME", "invalid_event"}
    written = [*logs_in(nightly.stack.folder), *redis_contents(nightly.redis)]
    written += [("Sentry", envelope) for envelope in sentry.envelopes]
    written += [("Celery event", event.encode()) for event in heard]
    written += [("celery inspect", inspected.encode())]
    written += [(f"nightly {' '.join(command)}", _command(nightly, command)) for command in _commands(letters[0].id)]
    written += [("metrics", _get(f"http://127.0.0.1:{metrics_port}/metrics"))]

    reference = nightly.reference(LETTERS).encode()
    for kind in ("log worker", "name of", "nightly explain"):
        assert any(place.startswith(kind) and reference in text for place, text in written), f"{kind} tells nothing"
    assert sum(len(text) for _, text in written) > 20_000, "there was hardly anything to search"
    assert leaks([*LOGINS, KEY], written) == []


def _commands(letter_id: str) -> list[list[str]]:
    return [
        ["status"],
        ["status", "--json"],
        ["explain", GUID],
        ["explain", LETTERS, "--json"],
        ["dead-letters", "list"],
        ["dead-letters", "list", "--json"],
        ["dead-letters", "show", letter_id],
        ["doctor"],
    ]


def _command(nightly: Nightly, arguments: list[str]) -> bytes:
    return output_of(arguments, environment=nightly.stack.environment, folder=nightly.stack.folder)


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return bytes(answer.read())
