"""The recipe for the redirect of Flinks Connect, run as its document describes."""

import os
import re
import sys
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

import pytest

from sandbox.stack import ManagedProcess, OrphanGuard
from tests.integration.celery_worker.conftest import Nightly, new_logins
from tests.places import ROOT
from tests.producers.conftest import expect_call
from tests.producers.snippets import snippets

DOCUMENT = "docs/flinks-connect.md"
NOWHERE = "redis://127.0.0.1:1/0"


def run_as_documented(folder: Path, env: Mapping[str, str], guard: OrphanGuard) -> ManagedProcess:
    """Serve the snippet of the document, with the options of its command, on a free port."""
    (snippet,) = snippets(DOCUMENT)
    (folder / "your_module.py").write_text(snippet.code)
    found = re.search(r"`uvicorn (your_module:app[^`]*)`", (ROOT / DOCUMENT).read_text())
    assert found
    argv = [sys.executable, "-m", "uvicorn", *found[1].split(), "--port", "0"]
    process = ManagedProcess("connect", argv, env=env, log_path=folder / "connect.log", cwd=folder, guard=guard)
    process.start().wait_ready(lambda: "running on" in process.output(), seconds=30)
    return process


class Browser:
    """The client of one customer, which sends its cookie only to our app."""

    def __init__(self, server: ManagedProcess) -> None:
        self._address = re.findall(r"running on http://(\S+)", server.output())[0]
        self.cookie = ""

    def get(self, target: str) -> HTTPResponse:
        connection = HTTPConnection(self._address, timeout=30)
        connection.request("GET", target, headers={"Cookie": self.cookie} if self.cookie else {})
        answer = connection.getresponse()
        answer.body = answer.read().decode()  # type: ignore[attr-defined]
        connection.close()
        return answer

    def opens_connect(self) -> str:
        """Load the page with the frame; return the path of redirectUrl, to which Flinks redirects."""
        answer = self.get("/connect")
        cookie = answer.headers["Set-Cookie"]
        assert {"httponly", "secure", "samesite=lax"} <= {part.strip().lower() for part in cookie.split(";")}
        self.cookie = cookie.split(";")[0]
        return urlsplit(re.findall(r'redirectUrl=([^"]+)"', answer.body)[0]).path  # type: ignore[attr-defined]


def with_login(path: str, login_id: str) -> str:
    """Return the path as Flinks calls it."""
    return f"{path}?{urlencode({'loginId': login_id, 'institution': 'FlinksCapital'}, quote_via=quote)}"


@pytest.fixture(scope="module")
def environment(working: Nightly) -> Mapping[str, str]:
    return {"PATH": os.environ["PATH"], "REDIS_URL": working.stack.environment["REDIS_URL"]}


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, environment: Mapping[str, str], orphan_guard: OrphanGuard
) -> Iterator[ManagedProcess]:
    process = run_as_documented(tmp_path_factory.mktemp("connect"), environment, orphan_guard)
    yield process
    process.stop()


def test_the_redirect_becomes_an_event_and_leaves_no_loginid_behind(working: Nightly, server: ManagedProcess) -> None:
    browser, (login,) = Browser(server), new_logins(1)

    answer = browser.get(with_login(browser.opens_connect(), login))

    assert (answer.status, answer.headers["Location"]) == (303, "/linked")
    assert (answer.headers["Cache-Control"], answer.headers["Referrer-Policy"]) == ("no-store", "no-referrer")
    expect_call(working, login, on=True)
    assert working.services.views.login(working.reference(login))["account_id"] == "cust-42"
    assert login not in server.output()
    assert login not in str(answer.headers) + answer.body  # type: ignore[attr-defined]


def test_a_link_of_another_customer_is_refused(working: Nightly, server: ManagedProcess) -> None:
    customer, stranger, (login,) = Browser(server), Browser(server), new_logins(1)
    customer.opens_connect()
    path = stranger.opens_connect()

    refused = [
        customer.get(with_login(path, login)),  # the attacker's own link, sent to the customer
        Browser(server).get(with_login(path, login)),  # without a session
        customer.get(with_login("/done/" + customer.cookie.split("=")[1] + "x", login)),
    ]

    assert [answer.status for answer in refused] == [403, 403, 403]
    working.comes_to_rest()
    assert login not in working.flags()


def test_a_link_works_once(working: Nightly, server: ManagedProcess) -> None:
    browser, (login, other) = Browser(server), new_logins(2)
    path = browser.opens_connect()
    assert browser.get(with_login(path, login)).status == 303
    assert browser.get(with_login(path, other)).status == 403
    expect_call(working, login, on=True)
    assert other not in working.flags()


def test_a_redirect_without_a_loginid_makes_no_event(server: ManagedProcess) -> None:
    browser = Browser(server)
    path = browser.opens_connect()
    assert [browser.get(target).status for target in (path, with_login(path, " "))] == [400, 400]


def test_while_redis_is_unavailable_the_customer_is_asked_to_reload(
    tmp_path: Path, environment: Mapping[str, str], orphan_guard: OrphanGuard
) -> None:
    server = run_as_documented(tmp_path, {**environment, "REDIS_URL": NOWHERE}, orphan_guard)
    try:
        browser, (login,) = Browser(server), new_logins(1)
        path = browser.opens_connect()
        assert [browser.get(with_login(path, login)).status for _ in range(2)] == [503, 503]
        assert login not in server.output()
    finally:
        server.stop()
