"""Attacks on the page's process from a security review: it stays up, discloses little, and serves other clients."""

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from sandbox.stack import ManagedProcess
from sandbox.stack.readiness import listening_url
from tests.integration.conftest import Start
from tests.places import ROOT
from tests.waiting import eventually
from worker.web.server import CONNECTIONS

FILES = 1024
SMALL = b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n"
SERVED_WITHIN_SECONDS = 5.0

pytestmark = pytest.mark.usefixtures("many_files")


def address_of(page: ManagedProcess) -> tuple[str, int]:
    host, _, port = str(listening_url(page)).removeprefix("http://").partition(":")
    return host, int(port)


def is_served(page: ManagedProcess) -> bool:
    """Return whether a new client gets a response; one that gets `Retry-After` may try again."""
    client = http.client.HTTPConnection(*address_of(page), timeout=SERVED_WITHIN_SECONDS)
    with closing(client), contextlib.suppress(OSError, http.client.HTTPException):
        client.request("GET", "/health")
        return client.getresponse().status == 200
    return False


def lines_of(page: ManagedProcess) -> list[str]:
    return page.log_path.read_text().splitlines()


def descriptors(page: ManagedProcess) -> int:
    return len(list(Path(f"/proc/{page.pid}/fd").iterdir()))


@contextmanager
def connections(page: ManagedProcess, count: int, *, first: bytes = b"") -> Iterator[list[socket.socket]]:
    """Hold connections that sent `first` and read nothing."""
    with ExitStack() as opened:
        found = []
        for _ in range(count):
            client = opened.enter_context(closing(socket.socket()))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.settimeout(5)
            client.connect(address_of(page))
            with contextlib.suppress(OSError):
                client.sendall(first)
            found.append(client)
        yield found


def test_1300_idle_connections_shut_no_client_out_and_make_few_log_lines(start: Start) -> None:
    page = start(files=FILES)
    with connections(page, 1300):
        for _ in range(5):
            eventually(lambda: is_served(page), seconds=SERVED_WITHIN_SECONDS, describe="a legitimate client")
        assert descriptors(page) < FILES
        assert len(lines_of(page)) < 10
    assert any("idle_connections_closed" in line for line in lines_of(page))


def test_keep_alive_connections_with_small_requests_shut_no_client_out(start: Start) -> None:
    page = start()
    is_over = threading.Event()

    def keep_busy() -> None:
        while not is_over.is_set():
            with contextlib.suppress(OSError), connections(page, 1) as [client]:
                client.sendall(SMALL)
                while client.recv(4096) and not is_over.wait(1):
                    client.sendall(SMALL)

    before = descriptors(page)
    threads = [threading.Thread(target=keep_busy) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    try:
        eventually(lambda: descriptors(page) >= before + CONNECTIONS, describe="all places taken")
        for _ in range(10):
            assert is_served(page)
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
    assert len(lines_of(page)) < 10


def test_incomplete_requests_end_at_their_deadline(start: Start) -> None:
    page = start()
    before = descriptors(page)
    with connections(page, 50, first=b"GET / HTTP/1.1\r\nx-a: ") as clients:
        eventually(lambda: descriptors(page) >= before + 50, describe="the connections")
        begun, until = time.monotonic(), time.monotonic() + 60

        def dribble() -> bool:
            for client in clients:
                with contextlib.suppress(OSError):
                    client.sendall(b"a")
            return descriptors(page) <= before + 1 or time.monotonic() > until

        eventually(dribble, seconds=60, describe="the end of the half requests")
    assert time.monotonic() - begun < 40


POST = b"POST / HTTP/1.1\r\nhost: x\r\n"
AMBIGUOUS = {
    "length and chunks": POST + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": POST + b"transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"content-length: 1\r\ncontent-length: 1\r\n\r\na",
    "a list of lengths": POST + b"content-length: 1, 1\r\n\r\na",
    "a signed length": POST + b"content-length: +1\r\n\r\na",
    "chunks in 1.0": b"POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "bare line feeds": b"GET / HTTP/1.1\nhost: x\n\n",
    "one bare line feed": b"GET / HTTP/1.1\r\nhost: x\nx-a: b\r\n\r\n",
    "a folded header": b"GET / HTTP/1.1\r\nhost: x\r\nx-a: b\r\n c\r\n\r\n",
    "a bare carriage return": b"GET / HTTP/1.1\r\nhost: x\r\nx-a: b\rc\r\n\r\n",
    "many headers": b"GET / HTTP/1.1\r\nhost: x\r\n" + b"x-a: b\r\n" * 200 + b"\r\n",
    "a long header": b"GET / HTTP/1.1\r\nhost: x\r\nx-a: " + b"b" * 20_000 + b"\r\n\r\n",
}


def answer_to(page: ManagedProcess, raw: bytes) -> bytes:
    """Return every byte until the connection ends."""
    with connections(page, 1, first=raw) as [client]:
        return b"".join(iter(lambda: client.recv(65536), b""))


def test_an_ambiguous_request_is_refused_and_its_connection_closed(start: Start) -> None:
    page = start()
    for what, raw in AMBIGUOUS.items():
        answer = answer_to(page, raw + SMALL)
        assert answer.startswith(b"HTTP/1.1 400 "), what
        assert answer.count(b"HTTP/1.1 ") == 1, what
        assert b"connection: close" in answer.lower(), what


def test_an_invalid_chunk_size_closes_the_connection(start: Start) -> None:
    page = start()
    head = POST + b"transfer-encoding: chunked\r\n\r\n"
    for size in (b"0x1", b"+1", b"-1", b" 1", b"1 ", b"1;a=b", b"", b"1_0", b"f" * 17):
        answer = answer_to(page, head + size + b"\r\na\r\n0\r\n\r\n" + SMALL)
        assert answer.count(b"HTTP/1.1 ") == 1, size
        assert b"HTTP/1.1 200" not in answer, size


def test_a_thousand_invalid_requests_make_two_log_lines(start: Start) -> None:
    page = start()
    for _ in range(1000):
        with connections(page, 1, first=b"no HTTP\r\n\r\n") as [client]:
            assert client.recv(65536).startswith(b"HTTP/1.1 400 ")
    assert is_served(page)
    assert len(lines_of(page)) < 10


def test_a_process_that_may_open_few_files_serves_fewer_clients_and_says_so(start: Start) -> None:
    page = start(files=200)
    assert "connections_limited" in page.output()
    with connections(page, 400):
        eventually(lambda: is_served(page), seconds=SERVED_WITHIN_SECONDS, describe="a legitimate client")
    assert len(lines_of(page)) < 10


def test_a_process_that_may_open_hardly_any_file_does_not_start_and_says_what_it_needs(redis_url: str) -> None:
    command = ["sh", "-c", 'ulimit -n 160; exec "$@"', "sh", sys.executable, "-m", "worker", "review", "--port", "0"]
    env = os.environ | {"REDIS_URL": redis_url, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    reason = json.loads(done.stderr.splitlines()[-1])["reason"]
    assert reason == "The limit of open files is too low for the page: allow 450 (ulimit -n 450)."
