"""The review page as a process: closed by default, and what it says at its start."""

import json
import os
import socket
import subprocess
import sys
from contextlib import closing

import httpx

from sandbox.stack import ManagedProcess
from sandbox.stack.readiness import listening_url
from tests.integration.conftest import Start
from tests.places import ROOT
from worker.listening import Places, listen
from worker.web.review.passwords import hash_password

USERS = f"ann:viewer:{hash_password('correct horse', log2_n=10)}"


def get(page: ManagedProcess, path: str) -> httpx.Response:
    return httpx.get(f"{listening_url(page)}{path}", timeout=20, trust_env=False)


def test_without_users_everything_but_health_is_closed(start: Start) -> None:
    page = start()
    assert get(page, "/health").text == "ok\n"
    for path in ("/", "/letters", "/audit", "/sign-in"):
        closed = get(page, path)
        assert closed.status_code == 401
        assert "Nobody can sign in here yet" in closed.text
    assert "review_page_closed" in page.output()
    assert page.stop() == 0


def test_a_stranger_gets_only_the_page_to_sign_in(start: Start) -> None:
    page = start(users=USERS)
    asked = get(page, "/letters?code=INVALID_LOGIN")
    assert (asked.status_code, asked.headers["location"]) == (303, "/sign-in?next=%2Fletters%3Fcode%3DINVALID_LOGIN")
    shown = get(page, asked.headers["location"])
    assert shown.status_code == 200
    assert shown.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
    assert shown.headers["cache-control"] == "no-store"
    assert httpx.post(f"{listening_url(page)}/", timeout=20, trust_env=False).status_code == 405


def test_listening_beyond_this_machine_warns_that_passwords_cross_the_network(start: Start) -> None:
    assert "review_page_without_tls" in start(host="0.0.0.0").output()
    assert "review_page_without_tls" not in start(users=USERS).output()


def test_health_reports_that_redis_is_unavailable(start: Start) -> None:
    page = start(users=USERS, url="redis://127.0.0.1:1/0")
    assert get(page, "/health").status_code == 503
    assert get(page, "/sign-in").status_code == 200


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
