"""A flood of wrong passwords: the users still log in, the log stays short, and the process small.

The hashes cost a quarter of the usual ones. Queues have a length, not a duration, so the flood fills them the same.
"""

import contextlib
import re
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import lru_cache
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlencode

import httpx

from sandbox.stack import ManagedProcess
from sandbox.stack.readiness import listening_url
from tests.integration.conftest import Start
from tests.waiting import eventually
from worker.web.review.passwords import hash_password

PASSWORDS = {"ann": "correct horse", "bob": "battery staple"}
FLOODERS = 40
LOG2_N = 13
MOST_LINES = 15
HOME, ELSEWHERE, PROXY = "127.0.0.2", "127.0.0.3", "127.0.0.1"
GUESS = "canary-guess"


def users() -> str:
    return ",".join(f"{name}:viewer:{hash_password(password, log2_n=LOG2_N)}" for name, password in PASSWORDS.items())


@lru_cache(maxsize=1)
def form_of(url: str) -> tuple[str, str]:
    """Return the cookie and the token of the sign-in form; they stay valid."""
    shown = httpx.get(f"{url}/sign-in", trust_env=False)
    token = re.search(r'name="csrf" value="([0-9a-f]+)"', shown.text)
    assert token
    return shown.headers["set-cookie"].partition(";")[0], token[1]


def sign_in(page: ManagedProcess, name: str, password: str, *, address: str) -> int:
    """Return the status for one sign-in from an address of this machine: 303 done, 401 wrong, 429 not checked."""
    url = str(listening_url(page))
    cookie, token = form_of(url)
    host, _, port = url.removeprefix("http://").partition(":")
    body = urlencode({"csrf": token, "name": name, "password": password})
    headers = {"cookie": cookie, "content-type": "application/x-www-form-urlencoded"}
    with closing(HTTPConnection(host, int(port), timeout=30, source_address=(address, 0))) as client:
        client.request("POST", "/sign-in", body, headers)
        answer = client.getresponse()
        answer.read()
        return answer.status


@contextmanager
def flood(page: ManagedProcess, name: str, *, address: str) -> Iterator[list[int]]:
    """Guess as fast as possible, each time with another password; the body runs once a queue is full.

    Yields the list of the statuses of all guesses, which grows.
    """
    is_over, statuses = threading.Event(), list[int]()

    def guess(flooder: int) -> None:
        number = 0
        while not is_over.is_set():
            number += 1
            with contextlib.suppress(OSError, HTTPException):
                statuses.append(sign_in(page, name, f"{GUESS}-{flooder}-{number}", address=address))

    threads = [threading.Thread(target=guess, args=(number,)) for number in range(FLOODERS)]
    for thread in threads:
        thread.start()
    try:
        eventually(lambda: "logins_turned_away" in page.output(), describe="a full queue")
        yield statuses
    finally:
        is_over.set()
        for thread in threads:
            thread.join()


def memory_megabytes(page: ManagedProcess) -> int:
    found = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{page.pid}/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1]) // 1024


def tries_until_in(page: ManagedProcess, name: str, *, address: str) -> int:
    """Return how often a user has to try; each try ends within half a minute."""
    for tries in range(1, 6):
        if sign_in(page, name, PASSWORDS[name], address=address) == 303:
            return tries
    return 99


def test_a_flood_of_guesses_locks_out_neither_its_victim_nor_others(start: Start) -> None:
    page = start(users=users())
    before = memory_megabytes(page)
    with flood(page, "ann", address=ELSEWHERE) as statuses:
        begun = time.monotonic()
        assert tries_until_in(page, "ann", address=HOME) == 1
        assert tries_until_in(page, "bob", address=ELSEWHERE) == 1
        assert time.monotonic() - begun < 15
        eventually(lambda: statuses.count(401) > 2 * MOST_LINES, seconds=30, describe="failures for a long log")
    assert memory_megabytes(page) < before + 60  # two checks take 8 MiB each
    assert set(statuses) == {401, 429}
    lines = [line for line in page.log_path.read_text().splitlines() if '"login' in line]
    assert 2 <= len(lines) <= MOST_LINES
    assert any('"login_failed"' in line and '"user": "ann"' in line and ELSEWHERE in line for line in lines)
    assert GUESS not in page.log_path.read_text()


def test_a_flood_through_the_same_proxy_delays_a_right_password_but_does_not_lock_it_out(start: Start) -> None:
    page = start(users=users())
    with flood(page, "ann", address=PROXY):
        begun = time.monotonic()
        assert tries_until_in(page, "bob", address=PROXY) == 1
        assert tries_until_in(page, "ann", address=PROXY) <= 2
        assert tries_until_in(page, "ann", address=PROXY) == 1  # remembered
        assert time.monotonic() - begun < 30


def test_an_unknown_user_name_is_not_logged(start: Start) -> None:
    page = start(users=users())
    assert sign_in(page, "typed-p4ssword-here", "x", address=HOME) == 401
    eventually(lambda: '"login_failed"' in page.output(), describe="the line")
    assert '"user": "(unknown)"' in page.output()
    assert "p4ssword" not in page.log_path.read_text()
