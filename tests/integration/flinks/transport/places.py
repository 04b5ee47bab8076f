"""Places where a call cannot even be written: no name, no port, no handshake, no way through the proxy."""

import asyncio
import contextlib
import socket
import ssl
import warnings
from asyncio import StreamReader as Reader
from asyncio import StreamWriter as Writer
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx

from tests.integration.certificates import speaking_tls, write_certificate
from tests.integration.flinks.transport.calls import trusting
from tests.integration.flinks.transport.scripted import LOOPBACK, MakePlace, Place, Step, read, scripted, send
from tests.integration.misbehaving import CONFIRMED, free_port, reply, serving


def address(url: str) -> MakePlace:
    """Return a place with nothing of ours behind it."""

    @contextlib.asynccontextmanager
    async def make(_: Path) -> AsyncIterator[Place]:
        yield Place(url)

    return make


@contextlib.asynccontextmanager
async def closed_port(_: Path) -> AsyncIterator[Place]:
    """Yield a port on which nobody listens."""
    yield Place(f"http://{LOOPBACK}:{free_port()}/")


@contextlib.contextmanager
def full_backlog_at(host: str, port: int = 0) -> Iterator[int]:
    """Listen on a port that completes no connection: its queue is full and nobody empties it. Yield the port."""
    with contextlib.ExitStack() as opened:
        listener = opened.enter_context(socket.create_server((host, port), backlog=0))
        for _ in range(4):
            filler = opened.enter_context(socket.socket())
            filler.settimeout(0)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@contextlib.asynccontextmanager
async def full_backlog(_: Path) -> AsyncIterator[Place]:
    """Yield a place that completes no connection."""
    with full_backlog_at(LOOPBACK) as port:
        yield Place(f"http://{LOOPBACK}:{port}/")


@contextlib.asynccontextmanager
async def only_tls_1_1(folder: Path) -> AsyncIterator[Place]:
    """Yield a server that speaks no newer TLS."""
    context = speaking_tls(write_certificate(folder / "server.pem", "flinks.test", LOOPBACK))
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    async with _refusing_by_an_alert(context) as url:
        yield Place(url)


@contextlib.asynccontextmanager
async def certificate_of_the_client_missing(folder: Path) -> AsyncIterator[Place]:
    """Yield a server that refuses the client after the handshake: with TLS 1.3 the request is under way by then."""
    certificate = write_certificate(folder / "server.pem", "flinks.test", LOOPBACK)
    context = speaking_tls(certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    async with _refusing_by_an_alert(context) as url:
        yield Place(url, tls=trusting(certificate))


@contextlib.asynccontextmanager
async def _refusing_by_an_alert(context: ssl.SSLContext) -> AsyncIterator[str]:
    """Serve one connection in a thread: asyncio's server would close it without the alert that says why."""

    def refuse() -> None:
        accepted, _ = listener.accept()
        with context.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False) as secured:
            with contextlib.suppress(ssl.SSLError):
                secured.do_handshake()
            with contextlib.suppress(OSError):
                while socket.socket.recv(secured, 65_536):  # closing with unread bytes would discard the alert
                    pass

    with socket.create_server((LOOPBACK, 0)) as listener:
        served = asyncio.create_task(asyncio.to_thread(refuse))
        yield f"https://{LOOPBACK}:{listener.getsockname()[1]}/"
        await served


def tls_to(*steps: Step) -> MakePlace:
    """Return a server without TLS that goes through the steps; the client calls it with https."""

    @contextlib.asynccontextmanager
    async def make(folder: Path) -> AsyncIterator[Place]:
        async with scripted(*steps)(folder) as place:
            place.url = place.url.replace("http://", "https://")
            yield place

    return make


def proxied(*steps: Step) -> MakePlace:
    """Return a place behind a proxy that goes through the steps."""

    @contextlib.asynccontextmanager
    async def make(folder: Path) -> AsyncIterator[Place]:
        async with scripted(*steps)(folder) as place:
            place.proxy = httpx.Proxy(place.url)
            place.url = "https://flinks.test/"
            yield place

    return make


@contextlib.asynccontextmanager
async def closed_port_of_the_proxy(_: Path) -> AsyncIterator[Place]:
    """Yield a place behind a proxy that is not there."""
    yield Place("https://flinks.test/", proxy=httpx.Proxy(f"http://{LOOPBACK}:{free_port()}"))


@contextlib.asynccontextmanager
async def untrusted_proxy(folder: Path) -> AsyncIterator[Place]:
    """Yield a place behind an https proxy whose certificate is not trusted."""
    certificate = write_certificate(folder / "proxy.pem", "proxy.test", LOOPBACK)
    async with _serving_tls(certificate, speaking_tls(certificate)) as place:
        yield Place("https://flinks.test/", proxy=httpx.Proxy(place.url))


@contextlib.asynccontextmanager
async def _serving_tls(certificate: Path, context: ssl.SSLContext) -> AsyncIterator[Place]:
    place = Place(tls=trusting(certificate))

    async def handler(reader: Reader, writer: Writer) -> None:
        for step in (read, send(reply(CONFIRMED))):
            await step(place, reader, writer)

    async with serving(handler, context) as port:
        place.url = f"https://{LOOPBACK}:{port}/"
        yield place
