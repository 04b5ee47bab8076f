"""Bad clients of the Prometheus endpoint do not disturb the worker; two workers of a machine have one endpoint each."""

import contextlib
import re
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from sandbox.stack import ManagedProcess
from sandbox.stack.redis_server import free_port
from tests.integration.celery_worker.conftest import Nightly, cloud_event, new_logins
from tests.waiting import eventually

HALF_REQUESTS = 1500

pytestmark = pytest.mark.usefixtures("many_files")


@pytest.fixture
def metrics_port() -> int:
    return free_port()


@pytest.fixture
def settings_for_workers(metrics_port: int) -> dict[str, str]:
    return {"METRICS_PORT": str(metrics_port)}


def scrape(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


def port_of(worker: ManagedProcess) -> int:
    found = re.search(r'"event": "metrics_listening".*"port": (\d+)', worker.output())
    return int(found[1]) if found else 0


def threads_of(worker: ManagedProcess) -> int:
    found = re.search(r"^Threads:\s+(\d+)", Path(f"/proc/{worker.pid}/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1])


def descriptors_of(worker: ManagedProcess) -> int:
    return len(list(Path(f"/proc/{worker.pid}/fd").iterdir()))


@contextmanager
def half_requests(port: int) -> Iterator[None]:
    with ExitStack() as opened:
        for _ in range(HALF_REQUESTS):
            client = opened.enter_context(closing(socket.create_connection(("127.0.0.1", port), timeout=10)))
            with contextlib.suppress(OSError):
                client.sendall(b"GET /metrics HTTP/1.1\r\n")
        yield


def test_incomplete_requests_do_not_slow_a_worker_down(nightly: Nightly, metrics_port: int) -> None:
    worker = nightly.stack.start_worker(concurrency=1)
    assert "nightly_up 1.0" in scrape(metrics_port)
    threads, descriptors = threads_of(worker), descriptors_of(worker)
    logins = new_logins(50)
    with half_requests(metrics_port):
        nightly.send([cloud_event(login, on=True, minute=1) for login in logins])
        nightly.comes_to_rest()
        assert "nightly_up 1.0" in scrape(metrics_port)
        assert threads_of(worker) <= threads + 5
        assert descriptors_of(worker) <= descriptors + 40
    assert nightly.flags() == dict.fromkeys(logins, True)


def listening_addresses(port: int) -> set[str]:
    addresses = [line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {address for address in addresses if address.endswith(f":{port:04X}")}


def test_a_second_worker_of_the_machine_takes_the_next_port_and_both_listen_on_loopback_only(
    nightly: Nightly, metrics_port: int
) -> None:
    workers = [nightly.stack.start_worker(concurrency=1) for _ in range(2)]
    eventually(lambda: all(map(port_of, workers)), describe="both ports")
    assert port_of(workers[0]) == metrics_port
    assert metrics_port < port_of(workers[1]) < metrics_port + 16
    for worker in workers:
        assert "nightly_workers 2.0" in scrape(port_of(worker))
        assert listening_addresses(port_of(worker)) == {f"0100007F:{port_of(worker):04X}"}
