"""A server with TLS behind a relay that damages the encrypted bytes from a certain moment on."""

import asyncio
import contextlib
from asyncio import StreamReader as Reader
from asyncio import StreamWriter as Writer
from collections.abc import AsyncIterator
from pathlib import Path

from tests.integration.certificates import speaking_tls, write_certificate
from tests.integration.flinks.transport.calls import trusting
from tests.integration.flinks.transport.scripted import LOOPBACK, MakePlace, Place, delivered, read
from tests.integration.misbehaving import serving


def corrupted(intact: bytes, damaged: bytes) -> MakePlace:
    """Return a server that answers with both parts, the second of which is damaged under way."""

    @contextlib.asynccontextmanager
    async def make(folder: Path) -> AsyncIterator[Place]:
        certificate = write_certificate(folder / "server.pem", "flinks.test", LOOPBACK)
        place, relay = Place(tls=trusting(certificate)), _Relay()

        async def answer(reader: Reader, writer: Writer) -> None:
            await read(place, reader, writer)
            if intact:
                relay.passed.clear()
                writer.write(intact)
                await relay.passed.wait()
                await delivered(writer)
            relay.is_damaging = True
            writer.write(damaged)
            await reader.read(-1)

        async with serving(answer, speaking_tls(certificate)) as port:
            relay.port = port
            async with serving(relay.handle) as relayed:
                place.url = f"https://{LOOPBACK}:{relayed}/"
                yield place

    return make


class _Relay:
    port = 0
    is_damaging = False

    def __init__(self) -> None:
        self.passed = asyncio.Event()
        """Set whenever bytes of the server were passed on."""

    async def handle(self, reader: Reader, writer: Writer) -> None:
        upstream_reader, upstream_writer = await asyncio.open_connection(LOOPBACK, self.port)
        onward = asyncio.create_task(self._pump(reader, upstream_writer))
        try:
            while chunk := await upstream_reader.read(65_536):
                # The last byte belongs to the check value of the last record.
                writer.write(chunk[:-1] + bytes([chunk[-1] ^ 1]) if self.is_damaging else chunk)
                await writer.drain()
                self.passed.set()
        finally:
            onward.cancel()
            upstream_writer.close()

    @staticmethod
    async def _pump(source: Reader, sink: Writer) -> None:
        while chunk := await source.read(65_536):
            sink.write(chunk)
