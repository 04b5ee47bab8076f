"""Sends events to `POST /events` as the producers in docs/http.md do: signed, each over a new connection."""

import base64
import hashlib
import hmac
import http.client
import json
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from http import HTTPStatus
from urllib.parse import urlsplit
from uuid import uuid4

from benchmarks.system import System
from sandbox.stack.readiness import listening_url
from worker.web.webhook.signature import new_secret


def start(system: System) -> Callable[[str], None]:
    """Start the real `nightly review`; returns a function that sends one event for a login and checks the 202."""
    secret = new_secret()
    system.stack.environment["HTTP_EVENTS_SECRETS"] = f"benchmark={secret}"
    argv = [sys.executable, "-m", "worker", "review", "--port", "0"]
    address = urlsplit(listening_url(system.stack.start_process("review", argv, ready=listening_url)) or "")
    key = base64.b64decode(secret.removeprefix("whsec_"))

    def send(login_id: str) -> None:
        body = json.dumps(_event(login_id)).encode()
        client = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
        with closing(client):
            client.request("POST", "/events", body, _headers(key, body))
            answer = client.getresponse()
            if answer.status != HTTPStatus.ACCEPTED:
                raise RuntimeError(f"{answer.status}: {answer.read().decode()}")

    return send


def _event(login_id: str) -> dict[str, object]:
    return {
        "specversion": "1.0",
        "id": str(uuid4()),
        "source": "benchmark",
        "type": "account.linked",
        "time": datetime.now(UTC).isoformat(),
        "data": {"loginId": login_id},
    }


def _headers(key: bytes, body: bytes) -> dict[str, str]:
    message_id, now = str(uuid4()), str(int(time.time()))
    digest = hmac.digest(key, f"{message_id}.{now}.".encode() + body, hashlib.sha256)
    return {
        "content-type": "application/cloudevents+json",
        "webhook-id": message_id,
        "webhook-timestamp": now,
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
    }
