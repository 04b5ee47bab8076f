"""An answer is read the same however it is cut into packets, and no bytes at all do harm."""

import asyncio
import contextlib
import os
from asyncio import StreamReader as Reader
from asyncio import StreamWriter as Writer
from collections.abc import AsyncIterator, Sequence

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.integration.flinks.transport.answers import Valid, cut, cuts, damaged_answers, valid_answers
from tests.integration.flinks.transport.calls import PATIENT, Answered, Failed, call, opened, until
from tests.integration.flinks.transport.conftest import Run
from tests.integration.flinks.transport.scripted import Place, delivered, read
from tests.integration.misbehaving import CONFIRMED, reply, serving
from worker.flinks.transport import Transport

IS_LONG = "NIGHTLY_PROVE" in os.environ
ALL_PHASES = (Phase.explicit, Phase.generate, Phase.shrink)
MANY = settings(
    max_examples=1_000 if IS_LONG else 30,
    deadline=None,
    derandomize=not IS_LONG,
    database=None,
    phases=ALL_PHASES,
    suppress_health_check=list(HealthCheck),
)
NEXT = reply(b'"next"')
BRIEF = 0.05
KNOWN = {
    "a length": reply(CONFIRMED, "200 OK", "retry-after: 7"),
    "chunks": b'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\n{"a"\r\n04;x=y\r\n: 1}\r\n0\r\nt: u\r\n\r\n',
    "an interim answer": b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + reply(b"{}"),
    "no body": b"HTTP/1.1 204 No Content\r\n\r\n",
    "a length and chunks": b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "two answers": reply(b"{}") + reply(b"[]"),
    "nonsense": b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\nx y\r\n\r\n.",
}


class Server:
    """Answers each request on a connection with the packets that the test lays down, then closes or waits."""

    def __init__(self) -> None:
        self.place = Place()
        self.packets: Sequence[bytes] = ()
        self.closes = False
        self.sent = asyncio.Event()

    async def handle(self, reader: Reader, writer: Writer) -> None:
        while True:
            await read(self.place, reader, writer)
            try:
                for packet in self.packets:
                    writer.write(packet)
                    await delivered(writer)
            finally:
                self.sent.set()
            if self.closes:
                return

    async def ending(
        self, transport: Transport, packets: Sequence[bytes], *, closes: bool, total: float = PATIENT
    ) -> Answered | Failed:
        """Return how a call ends that is answered with these packets."""
        self.packets, self.closes = packets, closes
        self.sent.clear()
        ended = await call(transport, self.place.url, total=total)
        await self.sent.wait()
        if closes:
            await until(lambda: transport.idle_connections == 0)
        return ended

    async def is_next_call_unharmed(self, transport: Transport) -> bool:
        """Return whether the next call gets its own answer."""
        for _ in range(3):
            await asyncio.sleep(0)
        self.packets, self.closes = (NEXT,), False
        ended = await call(transport, self.place.url)
        return isinstance(ended, Answered) and ended.body == b'"next"'


@contextlib.asynccontextmanager
async def served() -> AsyncIterator[tuple[Server, Transport]]:
    server = Server()
    async with serving(server.handle) as port:
        server.place.url = f"http://127.0.0.1:{port}/"
        async with opened(server.place.url) as transport:
            yield server, transport


@pytest.mark.parametrize("raw", KNOWN.values(), ids=KNOWN)
@pytest.mark.parametrize("closes", [True, False])
def test_an_answer_cut_at_any_place_is_read_the_same(run: Run[None], raw: bytes, *, closes: bool) -> None:
    async def main() -> None:
        async with served() as (server, transport):
            whole = await server.ending(transport, [raw], closes=closes)
            for place in range(1, len(raw)):
                ended = await server.ending(transport, cut(raw, [place]), closes=closes)
                assert ended == whole, raw[:place]
            assert await server.ending(transport, cut(raw, list(range(len(raw)))), closes=closes) == whole
            assert await server.is_next_call_unharmed(transport)

    run(main())


def test_a_valid_answer_is_read_as_it_was_meant(run: Run[None]) -> None:
    @given(valid=valid_answers(), closes=st.booleans(), data=st.data())
    @MANY
    def example(valid: Valid, data: st.DataObject, *, closes: bool) -> None:
        packets = data.draw(cuts(valid.raw))

        async def main() -> None:
            async with served() as (server, transport):
                ended = await server.ending(transport, packets, closes=closes or valid.must_close)
                assert ended == valid.means
                assert await server.is_next_call_unharmed(transport)

        run(main())

    example()


def test_a_damaged_answer_ends_its_own_call_and_harms_no_other(run: Run[None]) -> None:
    @given(raw=damaged_answers(), data=st.data())
    @MANY
    def example(raw: bytes, data: st.DataObject) -> None:
        packets = data.draw(cuts(raw))

        async def main() -> None:
            async with served() as (server, transport):
                whole = await server.ending(transport, [raw], closes=True)
                assert await server.ending(transport, packets, closes=True) == whole
                await server.ending(transport, packets, closes=False, total=BRIEF)
                assert await server.is_next_call_unharmed(transport)

        run(main())

    example()


def test_any_bytes_end_the_call(run: Run[None]) -> None:
    @given(packets=st.lists(st.binary(max_size=20), max_size=5))
    @MANY
    def example(packets: list[bytes]) -> None:
        async def main() -> None:
            async with served() as (server, transport):
                ended = await server.ending(transport, packets, closes=True)
                assert isinstance(ended, Failed)
                assert await server.is_next_call_unharmed(transport)

        run(main())

    example()
