"""Which connection a call gets, and that a connection in doubt is never used again."""

import asyncio
from asyncio import StreamReader as Reader
from asyncio import StreamWriter as Writer
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.flinks.transport.calls import Answered, Failed, call, opened, until
from tests.integration.flinks.transport.conftest import Run
from tests.integration.flinks.transport.places import full_backlog, proxied, tls_to
from tests.integration.flinks.transport.scripted import (
    BIG,
    MakePlace,
    Place,
    over_tls,
    read,
    read_half,
    scripted,
    send,
    signal,
    stall,
    wait,
)
from tests.integration.misbehaving import reply, serving
from worker.clock import elapsed_seconds
from worker.flinks import transport as transport_module
from worker.flinks.failures import FailureKind, Progress
from worker.flinks.transport import TooLate

GOOD = reply(b"good")
HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 85\r\n\r\n"


class Numbered:
    """Answers each request with the number of its connection, once the test allows it."""

    def __init__(self) -> None:
        self.connections = 0
        self.waiting = 0
        self.may_answer = asyncio.Event()

    async def handle(self, reader: Reader, writer: Writer) -> None:
        self.connections += 1
        body = str(self.connections).encode()
        while True:
            await read(Place(), reader, writer)
            self.waiting += 1
            await self.may_answer.wait()
            writer.write(reply(body))


def test_no_more_connections_than_the_limit_and_the_last_one_used_is_the_first_one_taken(run: Run[None]) -> None:
    async def main() -> None:
        server = Numbered()
        async with serving(server.handle) as port:
            url = f"http://127.0.0.1:{port}/"
            async with opened(url, limit=3) as transport:
                calls = [asyncio.create_task(call(transport, url)) for _ in range(5)]
                await until(lambda: server.waiting == 3)
                assert transport.idle_connections == 0
                server.may_answer.set()
                bodies = {ended.body for ended in await asyncio.gather(*calls) if isinstance(ended, Answered)}
                assert bodies == {b"1", b"2", b"3"}
                assert (server.connections, transport.idle_connections) == (3, 3)
                one_by_one = [await call(transport, url) for _ in range(5)]
                assert len(set(one_by_one)) == 1

    run(main())


def test_idle_connections_are_closed_before_servers_close_them(
    run: Run[None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport_module, "KEEPALIVE_SECONDS", 0.05)

    async def main() -> None:
        async with scripted(read, send(GOOD), wait)(tmp_path) as place, opened(place.url) as transport:
            for expected in (1, 2):
                assert isinstance(await call(transport, place.url), Answered)
                assert transport.idle_connections == 1
                place.is_left = False
                await until(lambda: place.is_left)
                assert transport.idle_connections == 0
                assert place.connections == expected

    run(main())


@pytest.mark.parametrize("serve", [scripted, over_tls])
def test_a_connection_that_the_server_closed_between_two_calls_is_replaced(
    run: Run[None], tmp_path: Path, serve: Callable[..., MakePlace]
) -> None:
    async def main() -> None:
        async with serve(read, send(GOOD))(tmp_path) as place, opened(place.url, tls=place.tls) as transport:
            for _ in range(3):
                assert isinstance(await call(transport, place.url), Answered)
                await until(lambda: not transport.idle_connections)
            assert (place.connections, len(place.requests)) == (3, 3)

    run(main())


def test_a_connection_lost_before_anything_was_written_is_not_ambiguous(
    run: Run[None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with scripted()(tmp_path) as place, opened(place.url) as transport:
            connect = transport._server.connect

            async def connect_slowly(seconds: float) -> object:
                connection = await connect(seconds)
                await until(lambda: not connection.is_usable)
                return connection

            monkeypatch.setattr(transport._server, "connect", connect_slowly)
            assert await call(transport, place.url) == Failed(FailureKind.CLOSED, Progress.CONNECTED)

    run(main())


def test_a_call_that_is_too_late_writes_nothing_and_keeps_its_connection(
    run: Run[None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with scripted(read, send(GOOD), wait)(tmp_path) as place, opened(place.url) as transport:
            with pytest.raises(TooLate):
                await call(transport, place.url, not_after=elapsed_seconds() - 1)
            assert place.connections == 0
            moments = iter([0.0])  # then the machine sleeps for a long time
            monkeypatch.setattr(transport_module, "elapsed_seconds", lambda: next(moments, 1000.0))
            with pytest.raises(TooLate):
                await call(transport, place.url, not_after=10)
            monkeypatch.undo()
            assert transport.idle_connections == 1
            assert isinstance(await call(transport, place.url), Answered)
            assert (place.connections, len(place.requests)) == (1, 1)

    run(main())


TUNNEL = send(b"HTTP/1.1 200 OK\r\n\r\n")
STAGES: dict[str, MakePlace] = {
    "connecting": full_backlog,
    "in the handshake": tls_to(signal, wait),
    "waiting for the proxy": proxied(read, signal, wait),
    "in the handshake in the tunnel": proxied(read, TUNNEL, signal, wait),
    "at half the request": scripted(read_half, signal, stall),
    "after the request": scripted(read, signal, wait),
    "after the request, TLS": over_tls(read, signal, wait),
    "in the body": scripted(read, send(HEAD + b"a"), signal, wait),
}


@pytest.mark.parametrize("stage", STAGES)
def test_a_cancelled_call_ends_at_once_and_its_connection_is_closed(run: Run[None], tmp_path: Path, stage: str) -> None:
    async def main() -> None:
        async with (
            STAGES[stage](tmp_path) as place,
            opened(place.url, limit=1, tls=place.tls, proxy=place.proxy) as transport,
        ):
            ongoing = asyncio.create_task(call(transport, place.url, content=BIG, total=30, connect=30))
            if stage == "connecting":
                await asyncio.sleep(0.02)
            else:
                await place.reached.wait()
            ongoing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await ongoing
            assert transport.idle_connections == 0
            if stage not in {"connecting", "at half the request"}:
                await until(lambda: place.is_left)
            # The only slot is free again.
            short = await call(transport, place.url, connect=0.05, total=0.05)
            assert isinstance(short, Failed)
            assert short.kind is FailureKind.TIMEOUT

    run(main())


def test_closing_the_transport_closes_its_idle_connections(run: Run[None], tmp_path: Path) -> None:
    async def main() -> None:
        async with scripted(read, send(GOOD), wait)(tmp_path) as place:
            async with opened(place.url) as transport:
                await call(transport, place.url)
            await until(lambda: place.is_left)

    run(main())


def test_a_line_break_in_a_header_is_never_written(run: Run[None], tmp_path: Path) -> None:
    async def main() -> None:
        async with scripted(read, send(GOOD), wait)(tmp_path) as place, opened(place.url) as transport:
            headers = {"x": "a\r\nhost: evil"}
            with pytest.raises(Exception, match="line break"):
                await call(transport, place.url, headers=headers)
            assert place.requests == []

    run(main())
