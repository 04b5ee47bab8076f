"""A server closes an idle connection while the event loop is busy: the next call must still not be written to it."""

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.certificates import speaking_tls, write_certificate
from tests.integration.flinks.transport.calls import TRUSTS_NOBODY, Answered, call, opened, trusting
from tests.integration.flinks.transport.conftest import Run
from tests.integration.misbehaving import reply
from worker.flinks import transport as transport_module

GOOD = reply(b"good")
SECONDS = 3
Close = Callable[[socket.socket], None]


def end_of_file(connection: socket.socket) -> None:
    """Close without a word, as a killed process does."""
    socket.socket.shutdown(connection, socket.SHUT_RDWR)


def goodbye(connection: socket.socket) -> None:
    """Close as TLS wants it: first an encrypted goodbye."""
    assert isinstance(connection, ssl.SSLSocket)
    connection.settimeout(0)
    with contextlib.suppress(OSError):
        connection.unwrap()
    end_of_file(connection)


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def last_words(connection: socket.socket) -> None:
    """Close with an answer that nobody asked for, as some servers do after a while."""
    connection.sendall(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
    end_of_file(connection)


class Server(threading.Thread):
    """Answers one request on each of two connections; closes the first one when it is asked to."""

    def __init__(self, listener: socket.socket, tls: ssl.SSLContext | None, close: Close) -> None:
        super().__init__(daemon=True)
        self.listener, self.tls, self.close = listener, tls, close
        self.may_close, self.has_closed = threading.Event(), threading.Event()

    def run(self) -> None:
        with self.accept() as first:
            self.answer(first)
            self.may_close.wait(SECONDS)
            self.close(first)
            self.has_closed.set()
        with self.accept() as second:
            self.answer(second)

    def accept(self) -> socket.socket:
        accepted, _ = self.listener.accept()
        accepted.settimeout(SECONDS)
        return self.tls.wrap_socket(accepted, server_side=True) if self.tls else accepted

    @staticmethod
    def answer(connection: socket.socket) -> None:
        head = b""
        while b"{}" not in head:
            head += connection.recv(65_536)
        connection.sendall(GOOD)

    def close_unseen(self) -> None:
        """Close the first connection, without a turn of the event loop."""
        self.may_close.set()
        assert self.has_closed.wait(SECONDS)


@contextlib.contextmanager
def serving(tls: ssl.SSLContext | None, close: Close) -> Iterator[tuple[Server, int]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(SECONDS)
        server = Server(listener, tls, close)
        server.start()
        yield server, listener.getsockname()[1]
        server.join(SECONDS)


@pytest.mark.parametrize(
    ("has_tls", "close"),
    [
        (False, end_of_file),
        (False, reset),
        (False, last_words),
        (True, end_of_file),
        (True, goodbye),
        (True, reset),
        (True, last_words),
    ],
)
def test_a_connection_closed_while_the_event_loop_was_busy_is_replaced(
    run: Run[None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    has_tls: bool,  # noqa: FBT001 - a parameter
    close: Close,
) -> None:
    monkeypatch.setattr(transport_module, "RESTED_SECONDS", 0)
    certificate = write_certificate(tmp_path / "server.pem", "flinks.test", "127.0.0.1") if has_tls else None
    ours, theirs = (trusting(certificate), speaking_tls(certificate)) if certificate else (TRUSTS_NOBODY, None)

    async def main() -> None:
        with serving(theirs, close) as (server, port):
            url = f"http{'s' * has_tls}://127.0.0.1:{port}/"
            async with opened(url, tls=ours) as transport:
                assert isinstance(await call(transport, url), Answered)
                server.close_unseen()
                ended = await call(transport, url)
                assert isinstance(ended, Answered), ended

    run(main())
