"""The review page over real HTTP: closed by default, read-only, and never a loginId."""

import json
import os
import socket
import subprocess
import sys
from contextlib import closing

import httpx
from redis import Redis

from sandbox.stack import ManagedProcess
from sandbox.stack.readiness import listening_url
from tests.integration.conftest import Start
from tests.places import ROOT
from worker.events.contract import Requirements
from worker.intake.accept import Intake
from worker.ledger import Ledger, Letters
from worker.ledger.audit import Actor
from worker.ledger.gate_control import GateKeeper
from worker.listening import Places, listen
from worker.vault.vault import Vault
from worker.web.review.passwords import hash_password

CANARY = "canary-login"
PASSWORD = "correct horse"


def users() -> str:
    return f"ann:viewer:{hash_password(PASSWORD, log2_n=10)}"


def get(page: ManagedProcess, path: str, *, login: tuple[str, str] | None = ("ann", PASSWORD)) -> httpx.Response:
    return httpx.get(f"{listening_url(page)}{path}", auth=login, timeout=20, trust_env=False)


def test_without_users_everything_but_health_is_closed(start: Start) -> None:
    page = start()
    assert get(page, "/health", login=None).text == "ok\n"
    for path in ("/", "/status.json", "/no-such-page"):
        assert get(page, path).status_code == 401
    assert "review_page_closed" in page.output()
    assert page.stop() == 0


def test_the_page_shows_state_and_dead_letters_and_forbids_scripts(
    start: Start, redis_client: Redis, vault: Vault
) -> None:
    intake = Intake(
        Ledger(redis_client), Letters(redis_client), vault,
        requirements=Requirements(max_ahead_seconds=60, instances=frozenset({"toolbox"})), default_instance="toolbox",
    )  # fmt: skip
    intake.accept_bodies([json.dumps({"loginId": CANARY}).encode()])
    redis_client.xadd("account-events:stream", {"event": CANARY})
    GateKeeper(redis_client).close("toolbox", by=Actor("<b>ann</b>", "operator", "page"), reason="maintenance")
    page = start(users=users())
    shown = get(page, "/")
    assert shown.status_code == 200
    for words in (
        "GATE CLOSED: toolbox",
        "invalid_event",
        "1 message waits, the oldest for ",
        "&lt;b&gt;ann&lt;/b&gt;",
        'http-equiv="refresh"',
    ):
        assert words in shown.text
    assert CANARY not in shown.text
    assert "<script" not in shown.text
    policy = shown.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert shown.headers["cache-control"] == "no-store"
    assert shown.headers["x-frame-options"] == "DENY"
    document = get(page, "/status.json").json()
    assert document["instances"]["toolbox"]["gate"]["state"] == "closed"
    assert {name: way["events"] for name, way in document["waiting_events"].items()} == {
        "stream": 1, "queue": 0, "set_aside": 1,
    }  # fmt: skip


def test_a_wrong_password_or_method_opens_nothing(start: Start) -> None:
    page = start(users=users())
    for login in (None, ("ann", "wrong"), ("bob", PASSWORD)):
        refused = get(page, "/", login=login)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"].startswith("Basic ")
        assert refused.headers["cache-control"] == "no-store"
    posted = httpx.post(f"{listening_url(page)}/", auth=("ann", PASSWORD), timeout=20, trust_env=False)
    assert posted.status_code == 405


def test_listening_beyond_this_machine_warns_that_passwords_cross_the_network(start: Start) -> None:
    assert "review_page_without_tls" in start(host="0.0.0.0").output()
    assert "review_page_without_tls" not in start(users=users()).output()


def test_page_and_health_report_that_redis_is_unavailable(start: Start) -> None:
    page = start(users=users(), url="redis://127.0.0.1:1/0")
    assert get(page, "/health", login=None).status_code == 503
    for path in ("/", "/status.json"):
        away = get(page, path)
        assert away.status_code == 503
        assert "Redis does not answer" in away.text


def test_a_port_in_use_is_reported_in_one_line(redis_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = str(other.getsockname()[1])
        command = [sys.executable, "-m", "worker", "review", "--port", taken]
        env = os.environ | {"REDIS_URL": redis_url, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    reason = json.loads(done.stderr.splitlines()[-1])["reason"]
    assert reason == f"The page cannot listen on 127.0.0.1 port {taken}: Address already in use."


def test_a_response_does_not_wait_for_a_tcp_acknowledgement() -> None:
    with (
        closing(listen("127.0.0.1", 0, Places(1))) as listener,
        closing(socket.create_connection(listener.getsockname())),
    ):
        connection, _ = listener.accept()
        with closing(connection):
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
