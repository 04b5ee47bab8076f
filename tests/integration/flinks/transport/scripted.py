"""Servers as lists of steps: each connection goes through the steps and is then closed."""

import asyncio
import contextlib
import re
import ssl
from asyncio import StreamReader as Reader
from asyncio import StreamWriter as Writer
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.integration.certificates import speaking_tls, write_certificate
from tests.integration.flinks.transport.calls import TRUSTS_NOBODY, trusting
from tests.integration.misbehaving import reset, serving

LOOPBACK = "127.0.0.1"
HALF_OF_A_BIG_BODY = 1_000_000
BIG = b"x" * 16_000_000
"""A request that no socket buffer takes whole."""


@dataclass
class Place:
    """Where a call goes, and what arrived there."""

    url: str = ""
    tls: ssl.SSLContext = TRUSTS_NOBODY
    """The client's side."""
    proxy: httpx.Proxy | None = None
    requests: list[bytes] = field(default_factory=list)
    """Bodies of the requests that were read to their end."""
    connections: int = 0
    is_left: bool = False
    """The client closed the connection before the server did."""
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    """Set by the step `signal`."""


Step = Callable[[Place, Reader, Writer], Awaitable[None]]
MakePlace = Callable[[Path], AbstractAsyncContextManager[Place]]
"""The folder is for certificates."""


async def read(place: Place, reader: Reader, _: Writer) -> None:
    """Read one request to its end."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    place.requests.append(await reader.readexactly(int(length[1]) if length else 0))


async def read_a_byte(_: Place, reader: Reader, __: Writer) -> None:
    """Wait for the first byte."""
    await reader.readexactly(1)


async def read_half(_: Place, reader: Reader, __: Writer) -> None:
    """Read the head and a part of a body of the size of BIG."""
    await reader.readexactly(HALF_OF_A_BIG_BODY)


def send(*pieces: bytes) -> Step:
    """Send bytes, each piece in a packet of its own."""

    async def step(_: Place, __: Reader, writer: Writer) -> None:
        for piece in pieces:
            writer.write(piece)
            await delivered(writer)

    return step


def send_forever(piece: bytes, *, first: bytes = b"", every_seconds: float = 0.0) -> Step:
    """Send `first`, then the piece again and again until the client closes the connection."""

    async def step(place: Place, _: Reader, writer: Writer) -> None:
        try:
            writer.write(first)
            while not writer.transport.is_closing():
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(every_seconds)
        except OSError:
            pass
        place.is_left = True

    return step


async def wait(place: Place, reader: Reader, _: Writer) -> None:
    """Do nothing until the client closes the connection."""
    with contextlib.suppress(OSError):
        while await reader.read(65_536):
            pass
    place.is_left = True


async def stall(_: Place, __: Reader, ___: Writer) -> None:
    """Do nothing, and read nothing, until the test ends."""
    await asyncio.Event().wait()


async def signal(place: Place, _: Reader, __: Writer) -> None:
    """Tell the test that this step was reached."""
    place.reached.set()


async def rst(_: Place, __: Reader, writer: Writer) -> None:
    """Close the connection with a reset instead of an end of file."""
    reset(writer)


async def delivered(writer: Writer) -> None:
    """Let the client read what was written before more is written: on loopback a few turns of the loop are enough."""
    await writer.drain()
    for _ in range(5):
        await asyncio.sleep(0)


def scripted(*steps: Step, later: tuple[Step, ...] = ()) -> MakePlace:
    """Return a plain server that goes through the steps; through `later`, if given, on all but the first connection."""

    @contextlib.asynccontextmanager
    async def make(_: Path) -> AsyncIterator[Place]:
        place = Place()
        async with serving(_handler(place, steps, later)) as port:
            place.url = f"http://{LOOPBACK}:{port}/"
            yield place

    return make


def over_tls(*steps: Step, host: str = LOOPBACK, hours: float = 1, is_trusted: bool = True) -> MakePlace:
    """Return a server with TLS. Its certificate is for 127.0.0.1 and ends in `hours`; the client asks for `host`."""

    @contextlib.asynccontextmanager
    async def make(folder: Path) -> AsyncIterator[Place]:
        certificate = write_certificate(folder / "server.pem", "flinks.test", LOOPBACK, hours=hours)
        place = Place(tls=trusting(certificate if is_trusted else None))
        async with serving(_handler(place, steps), speaking_tls(certificate)) as port:
            place.url = f"https://{host}:{port}/"
            yield place

    return make


def _handler(
    place: Place, steps: tuple[Step, ...], later: tuple[Step, ...] = ()
) -> Callable[[Reader, Writer], Awaitable[None]]:
    async def handler(reader: Reader, writer: Writer) -> None:
        place.connections += 1
        for step in later if later and place.connections > 1 else steps:
            await step(place, reader, writer)

    return handler
