"""The Prometheus endpoint under attack: few threads, few descriptors, few reads of the ledger, and it still
responds.
"""

import contextlib
import http.client
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from sandbox.stack.redis_server import free_port
from tests.waiting import eventually
from worker.telemetry import metrics_server
from worker.telemetry.metrics_server import CONNECTIONS, PORTS, MetricsServer, serve_metrics

Serve = Callable[..., MetricsServer]
HOST = "127.0.0.1"


@pytest.fixture
def serve() -> Iterator[Serve]:
    started: list[MetricsServer] = []

    def run(port: int = 0, read: Callable[[], Mapping[str, Any]] = lambda: {"workers": 1}) -> MetricsServer:
        server = serve_metrics(HOST, port, read)
        assert server is not None
        started.append(server)
        return server

    yield run
    for server in started:
        server.close()


def ask(port: int, method: str = "GET", path: str = "/metrics") -> tuple[http.client.HTTPResponse, str]:
    with closing(http.client.HTTPConnection(HOST, port, timeout=10)) as client:
        client.request(method, path)
        answer = client.getresponse()
        return answer, answer.read().decode()


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_only_a_scrape_is_answered(serve: Serve) -> None:
    port = serve(read=lambda: {"instances": {"toolbox": {"due_live": 3}}}).port
    answer, text = ask(port)
    families = {family.name for family in text_string_to_metric_families(text)}
    assert {"nightly_up", "nightly_due_live_logins"} <= families
    assert all(name.startswith("nightly_") for name in families)
    assert str(answer.getheader("content-type")).startswith("text/plain; version=0.0.4")
    head, nothing = ask(port, "HEAD")
    assert (head.status, nothing, head.getheader("content-length")) == (200, "", str(len(text)))
    assert ask(port, path="/")[0].status == 404
    posted, _ = ask(port, "POST")
    assert (posted.status, posted.getheader("allow")) == (405, "GET, HEAD")


def test_a_scrape_is_answered_although_the_ledger_cannot_be_read(serve: Serve) -> None:
    def read() -> Mapping[str, Any]:
        raise ConnectionError

    assert "nightly_up 0.0" in ask(serve(read=read).port)[1]


def test_invalid_requests_are_refused(serve: Serve) -> None:
    port = serve().port
    for raw, status in [(b"nothing\r\n\r\n", b"400"), (b"GET / HTTP/1.1\r\nx: " + b"a" * 9000, b"431")]:
        with closing(socket.create_connection((HOST, port), timeout=10)) as client:
            client.sendall(raw)
            assert client.recv(65536).startswith(b"HTTP/1.1 " + status)


@pytest.mark.usefixtures("many_files")
def test_1500_incomplete_requests_cost_no_thread_and_few_descriptors_and_a_scrape_is_answered(serve: Serve) -> None:
    port = serve().port
    threads, before = threading.active_count(), descriptors()
    with ExitStack() as opened:
        for _ in range(1500):
            client = opened.enter_context(closing(socket.create_connection((HOST, port), timeout=10)))
            with contextlib.suppress(OSError):
                client.sendall(b"GET /metrics HTTP/1.1\r\n")
        assert ask(port)[0].status == 200
        assert threading.active_count() <= threads + 2  # the one that reads the ledger
        eventually(lambda: descriptors() <= before + 1500 + CONNECTIONS + 5, describe="closed connections")


def test_an_incomplete_request_ends_at_its_deadline(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_server, "CLIENT_SECONDS", 0.2)
    with closing(socket.create_connection((HOST, serve().port), timeout=10)) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(1) == b""


def test_a_hundred_scrapes_in_a_row_read_the_ledger_once_a_second(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_server, "FRESH_SECONDS", 600)
    reads: list[bool] = []

    def read() -> Mapping[str, Any]:
        reads.append(True)
        return {"workers": 1}

    port = serve(read=read).port
    for _ in range(100):
        assert ask(port)[0].status == 200
    assert len(reads) <= 2  # prometheus_client also looks once when the collector is registered


def test_clients_that_disconnect_from_a_silent_ledger_start_no_further_read(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_server, "CLIENT_SECONDS", 0.1)
    begun, answers = threading.Semaphore(0), threading.Event()

    def read() -> Mapping[str, Any]:
        begun.release()
        answers.wait(30)
        return {"workers": 1}

    server = serve(read=read)
    try:
        for _ in range(5):
            with closing(socket.create_connection((HOST, server.port), timeout=10)) as client:
                client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
                with contextlib.suppress(ConnectionResetError):
                    assert client.recv(1) == b"", "its time is over"
        assert begun.acquire(timeout=10)
        assert not begun.acquire(blocking=False)
    finally:
        answers.set()


def test_each_worker_of_a_machine_gets_a_port_and_one_too_many_logs_advice(serve: Serve) -> None:
    first = free_port()
    with ExitStack() as taken:
        for port in range(first, first + PORTS - 1):
            with contextlib.suppress(OSError):
                taken.enter_context(closing(socket.create_server((HOST, port))))
        last = serve(first)
        assert last.port == first + PORTS - 1
        assert ask(last.port)[0].status == 200
        assert serve_metrics(HOST, first, dict) is None


def test_a_stopped_endpoint_frees_its_port() -> None:
    server = serve_metrics(HOST, 0, dict)
    assert server is not None
    server.close()
    with closing(socket.create_server((HOST, server.port))):
        pass


def test_a_host_name_that_is_not_local_is_logged_and_stops_no_worker() -> None:
    assert serve_metrics("192.0.2.1", free_port(), dict) is None
