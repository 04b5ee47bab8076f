"""Endless or too many clients: each releases its place, and the others get Retry-After."""

import asyncio
import http.client
import json
import socket
import time
from contextlib import ExitStack, closing

import pytest

from tests.http_events import STRUCTURED, Producer, event, signed
from tests.waiting import eventually
from worker.listening import Places
from worker.web import connection_limits as patience
from worker.web.server import CONNECTIONS
from worker.web.strict_http import MAX_CHUNKS
from worker.web.webhook import body as body_module

connection_made = patience.PatientProtocol.connection_made
HEAD = b"POST /events HTTP/1.1\r\nhost: x\r\ncontent-type: application/cloudevents+json\r\n"


def address_of(producer: Producer) -> tuple[str, int]:
    host, port = producer.url.removeprefix("http://").removesuffix("/events").split(":")
    return host, int(port)


def connected(producer: Producer) -> socket.socket:
    return socket.create_connection(address_of(producer), timeout=20)


def with_small_buffers(protocol: patience.PatientProtocol, transport: asyncio.Transport) -> None:
    """Accept the connection with a kernel buffer of a few kilobytes, so that an unread response soon waits in ours."""
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    connection_made(protocol, transport)


def is_closed(client: socket.socket) -> bool:
    client.settimeout(0.05)
    try:
        return not client.recv(65536)
    except TimeoutError:
        return False
    except ConnectionResetError:
        return True


def test_an_endless_body_is_not_read_for_ever(producer: Producer) -> None:
    def send_a_lot(client: socket.socket) -> None:
        for _ in range(1000):
            client.sendall(b"x" * 1_000_000)

    with connected(producer) as client:
        client.sendall(HEAD + b"content-length: 100000000000\r\n\r\n")
        with pytest.raises(OSError, match=r"reset|Broken pipe"):
            send_a_lot(client)


@pytest.mark.parametrize(
    ("client_seconds", "begun", "answered"),
    [(0.2, b"", b""), (0.2, HEAD + b"x-a: ", b""), (20, HEAD + b"content-length: 9\r\n\r\n{", b"HTTP/1.1 408 ")],
)
def test_a_client_that_stops_sending_loses_its_place(
    producer: Producer, monkeypatch: pytest.MonkeyPatch, client_seconds: float, begun: bytes, answered: bytes
) -> None:
    monkeypatch.setattr(patience, "CLIENT_SECONDS", client_seconds)
    monkeypatch.setattr(body_module, "BODY_SECONDS", 0.2)
    with connected(producer) as client:
        client.sendall(begun)
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer[:13] == answered


def test_slow_bodies_give_way_to_signed_requests(producer: Producer) -> None:
    """A hundred of them used to make every other request fail with 503, for as long as they were renewed."""
    with ExitStack() as opened:
        slow = [opened.enter_context(connected(producer)) for _ in range(2 * body_module.AT_ONCE)]
        for client in slow:
            client.sendall(HEAD + b"content-length: 9\r\n\r\n{")
        first = b"".join(iter(lambda: slow[0].recv(65536), b""))
        assert first.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nretry-after: 1\r\n" in first
        assert json.loads(first.partition(b"\r\n\r\n")[2])["code"] == "busy"
        assert {producer.send(event()).status_code for _ in range(20)} == {202}
        slow[-1].sendall(b"}" * 8)
        assert slow[-1].recv(65536).startswith(b"HTTP/1.1 401 "), "a later one was not ended"


def test_a_keep_alive_client_has_the_full_time_for_each_request(
    producer: Producer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "CLIENT_SECONDS", 0.2)
    body, until = json.dumps(event()).encode(), time.monotonic() + 0.5
    host = producer.url.removeprefix("http://").removesuffix("/events")
    client = http.client.HTTPConnection(host, timeout=20)  # does not connect again by itself, unlike httpx

    def one_more() -> bool:
        client.request("POST", "/events", body, {"content-type": STRUCTURED} | signed(body))
        assert client.getresponse().read()
        return time.monotonic() > until

    eventually(one_more, describe="answers for half a second")
    client.close()


@pytest.mark.parametrize(
    ("head", "answered"),
    [
        (b"POST /events HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain\r\n", b"HTTP/1.1 415 "),
        (b"GET /health HTTP/1.1\r\nhost: x\r\n", b"HTTP/1.1 200 "),
        (b"GET / HTTP/1.1\r\nhost: x\r\n", b"HTTP/1.1 401 "),
    ],
    ids=["events", "health", "page"],
)
def test_a_client_that_gets_its_response_early_does_not_keep_its_place_by_sending_the_body(
    producer: Producer, monkeypatch: pytest.MonkeyPatch, head: bytes, answered: bytes
) -> None:
    monkeypatch.setattr(patience, "CLIENT_SECONDS", 0.2)
    with connected(producer) as client:
        client.sendall(head + b"content-length: 100000\r\n\r\n")
        answer = client.recv(65536)
        client.sendall(b"x")  # this ends the idle time of a keep-alive connection
        eventually(lambda: is_closed(client), describe="the end of the connection")
    assert answer[:13] == answered


def test_a_body_with_too_many_chunks_is_refused_without_parsing_the_rest(producer: Producer) -> None:
    head = HEAD + b"transfer-encoding: chunked\r\n\r\n"
    with connected(producer) as client:
        client.sendall(head + b"1\r\n \r\n" * (MAX_CHUNKS + 1))
        assert client.recv(65536)[:13] == b"HTTP/1.1 400 "
    with connected(producer) as client:
        client.sendall(head + b"1\r\n \r\n" * MAX_CHUNKS + b"0\r\n\r\n")
        assert client.recv(65536)[:13] == b"HTTP/1.1 401 "


def test_bytes_that_are_not_http_after_a_response_close_the_connection_and_are_no_bug(
    producer: Producer, caplog: pytest.LogCaptureFixture
) -> None:
    with connected(producer) as client:
        client.sendall(b"POST /events HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        assert client.recv(65536)[:13] == b"HTTP/1.1 415 "
        client.sendall(b"no chunk\r\n")
        eventually(lambda: is_closed(client), describe="the end of the connection")
    assert [record.name for record in caplog.records if record.levelname == "ERROR"] == []


def test_a_client_that_reads_no_answer_is_closed(producer: Producer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "CLIENT_SECONDS", 0.5)
    monkeypatch.setattr(patience.PatientProtocol, "connection_made", with_small_buffers)
    with closing(socket.socket()) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(20)
        client.connect(address_of(producer))
        with pytest.raises(OSError, match=r"reset|Broken pipe"):
            client.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n" * 1_000_000)


def test_a_client_above_the_limit_gets_retry_after_and_can_succeed_later(
    producer: Producer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Places, "make_room", lambda _: False)  # as if every connection were busy
    with ExitStack() as opened:
        for _ in range(CONNECTIONS):
            opened.enter_context(connected(producer))
        with connected(producer) as refused:
            answer = b"".join(iter(lambda: refused.recv(65536), b""))
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nretry-after: 5\r\nconnection: close\r\n" in answer
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "busy"
    eventually(lambda: producer.send(event()).status_code == 202, describe="a place")
