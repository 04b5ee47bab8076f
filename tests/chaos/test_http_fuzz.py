"""The short form of the attack on HTTP (`make fuzz` runs the long one), and tests of its instruments."""

import os
import socketserver
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.chaos.flatness import MAY_GROW_FILES, Sample, growth, sample, sample_at_rest
from tests.chaos.http_clients import Address, Seen, attack
from tests.chaos.http_fuzz import fuzz_http
from tests.chaos.http_inputs import Ending, Input, cuts
from tests.waiting import eventually


def test_hostile_http_clients_cause_no_crash_no_500_and_no_growth(tmp_path: Path) -> None:
    report = fuzz_http(tmp_path, seconds=5, seed=1, say=print)
    assert not report.broken, report.text()


def test_a_process_that_grows_is_noticed() -> None:
    still = [Sample(100.0, 10, 20)] * 9
    assert growth(still) == []
    assert growth([*still[:8], Sample(900.0, 90, 900)]) == [], "one odd sample decided"
    slow = [Sample(100 + 2 * number, 10 + 10 * number, 20 + 20 * number) for number in range(9)]
    assert growth(slow) == [
        "memory (MB) grew from 102 to 114, by more than 11.1",
        "threads grew from 20 to 80, by more than 46",
        "open files grew from 40 to 160, by more than 46",
    ]


def test_open_files_of_a_process_are_counted() -> None:
    before = sample_at_rest(os.getpid())
    with ExitStack() as opened:
        for _ in range(MAY_GROW_FILES + 1):
            opened.enter_context(Path("/dev/null").open())
        (line,) = (line for line in growth([before, sample(os.getpid())]) if line.startswith("open files"))
    assert line.endswith(f"by more than {MAY_GROW_FILES}")


@contextmanager
def answering(answer: bytes) -> Iterator[Address]:
    """A server that gives the same response to everything."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(answer)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield ("127.0.0.1", server.server_address[1])
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 500 Internal Server Error\r\n\r\n", ["an answer 500"]),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", []),
        (b"Traceback (most recent call last):", ["an answer that is no HTTP"]),
    ],
)
def test_a_forbidden_response_is_noticed(answer: bytes, wrong: list[str]) -> None:
    seen, is_over = Seen(), threading.Event()
    with answering(answer) as address:
        sent = Input(b"", Ending.HALF_CLOSES)
        attacker = threading.Thread(target=attack, args=(address, lambda: sent, seen, is_over))
        attacker.start()
        eventually(lambda: seen.sent > 50, describe="some answers")
        is_over.set()
        attacker.join()
    assert list(seen.wrong) == wrong


def test_a_server_that_has_stopped_is_noticed() -> None:
    with answering(b"") as address:
        pass
    seen, is_over = Seen(), threading.Event()
    attacker = threading.Thread(target=attack, args=(address, lambda: Input(b"", Ending.READS), seen, is_over))
    attacker.start()
    eventually(lambda: seen.wrong, describe="a refused connection")
    is_over.set()
    attacker.join()
    assert list(seen.wrong) == ["no connection: ConnectionRefusedError"]


def test_requests_are_cut_at_every_position_with_every_line_ending() -> None:
    found = list(cuts(b"GET / HTTP/1.1\r\n\r\n"))
    assert len(found) == 19 * len(Ending)
    assert {one.first + one.rest for one in found if one.ending is Ending.SENDS_THE_REST} == {b"GET / HTTP/1.1\r\n\r\n"}
