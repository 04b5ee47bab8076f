"""Opens connections to one server: name lookup, TCP, a proxy's tunnel, TLS."""

import asyncio
import socket
import ssl
from base64 import b64encode
from http import HTTPStatus
from typing import Any, cast

import aiohappyeyeballs
import httpx
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from worker.flinks.connection import MAX_HEAD_BYTES, CallFailed, Connection
from worker.flinks.failures import FailureKind, Progress

ADDRESS_SECONDS = 10.0
"""How long the addresses of a name are used before the name is looked up again."""
NEXT_ADDRESS_SECONDS = 0.25
"""If an address has given no connection after this time, the next one is tried as well (RFC 8305)."""
BUFFER_BYTES = 32_768
MAX_PORT = 65535
_DEFAULT_PORTS = {"http": 80, "https": 443}
_FAILURES = (OSError, OverflowError, UnicodeError, RuntimeError)  # uvloop raises RuntimeError for some addresses


class Server:
    """The server of an instance, and the way to it.

    A proxy opens a tunnel (CONNECT), so it sees neither the requests nor the answers of a TLS server.
    """

    def __init__(self, url: httpx.URL, *, tls: ssl.SSLContext, proxy: httpx.Proxy | None) -> None:
        self._host, self._port = _address(url)
        self._tls = tls if url.scheme == "https" else None
        self._proxy = proxy
        self._first_host, self._first_port = _address(proxy.url) if proxy else (self._host, self._port)
        self._first_tls = (tls if proxy.url.scheme == "https" else None) if proxy else self._tls
        self._looking_up = asyncio.Lock()
        self._buffer = memoryview(bytearray(BUFFER_BYTES))
        self._addresses: list[Any] = []
        self._known_until = 0.0

    async def connect(self, seconds: float) -> Connection:
        """Return a new connection; raises CallFailed if there is none after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                return await self._connect()
        except _FAILURES as error:
            self._known_until = 0.0
            raise CallFailed(_kind_of(error), Progress.NOT_CONNECTED) from None

    async def _connect(self) -> Connection:
        connection = Connection(asyncio.get_running_loop(), self._buffer)
        if self._proxy is None:
            await self._open(connection)
            return connection
        tunnel = _Tunnel()
        await self._open(tunnel)
        try:
            await tunnel.ask(self._host, self._port, self._proxy)
            connection.connection_made(tunnel.transport)  # uvloop tells the connection of a failed handshake, too
            transport = await self._secured(tunnel.transport, connection)
        except BaseException:
            tunnel.transport.abort()
            raise
        connection.connection_made(transport)
        return connection

    async def _open(self, protocol: asyncio.BaseProtocol) -> None:
        """Connect to the server or its proxy."""
        loop = asyncio.get_running_loop()
        addresses = await self._found_addresses()
        found = await aiohappyeyeballs.start_connection(addresses, happy_eyeballs_delay=NEXT_ADDRESS_SECONDS)
        name = self._first_host if self._first_tls else None
        await loop.create_connection(lambda: protocol, sock=found, ssl=self._first_tls, server_hostname=name)

    async def _found_addresses(self) -> list[Any]:
        """Look the name up, once for all connections that are being opened."""
        if self._first_port > MAX_PORT:  # some resolvers would take the port modulo 65536
            raise OverflowError
        loop = asyncio.get_running_loop()
        async with self._looking_up:
            if loop.time() >= self._known_until:
                self._addresses = await loop.getaddrinfo(self._first_host, self._first_port, type=socket.SOCK_STREAM)
                self._known_until = loop.time() + ADDRESS_SECONDS
            return self._addresses

    async def _secured(self, transport: asyncio.Transport, connection: Connection) -> asyncio.BaseTransport:
        if self._tls is None:
            transport.set_protocol(connection)
            return transport
        loop = asyncio.get_running_loop()
        secured = await loop.start_tls(transport, connection, self._tls, server_hostname=self._host)
        return cast("asyncio.BaseTransport", secured)


class _Tunnel(asyncio.Protocol):
    """Asks a proxy for a tunnel."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._answered = asyncio.get_running_loop().create_future()
        self._parser = HttpResponseParser(self)
        self._seen = self._status = 0

    async def ask(self, host: str, port: int, proxy: httpx.Proxy) -> None:
        """Open the tunnel; raises ConnectionError if the proxy refuses."""
        target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        head = f"CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n"
        if proxy.raw_auth:
            head += f"proxy-authorization: Basic {b64encode(b':'.join(proxy.raw_auth)).decode()}\r\n"
        self.transport.write(f"{head}\r\n".encode())
        await self._answered
        if not HTTPStatus.OK <= self._status < HTTPStatus.MULTIPLE_CHOICES:
            raise ConnectionError

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._seen += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            self._end(status=0)
        if self._seen > MAX_HEAD_BYTES:
            self._end(status=0)

    def connection_lost(self, _: Exception | None) -> None:
        self._end(status=0)

    def on_headers_complete(self) -> None:
        """End with the status, unless the answer is an interim one."""
        if (status := self._parser.get_status_code()) >= HTTPStatus.OK:
            self._end(status)

    def on_body(self, _: bytes) -> None:
        """Refuse a tunnel that begins with bytes: a TLS server says nothing before we do."""
        self._status = 0

    def _end(self, status: int) -> None:
        if not self._answered.done():
            self._status = status
            self._answered.set_result(None)


def _address(url: httpx.URL) -> tuple[str, int]:
    return url.raw_host.decode(), url.port or _DEFAULT_PORTS[url.scheme]


def _kind_of(error: BaseException) -> FailureKind:
    if isinstance(error, TimeoutError):
        return FailureKind.TIMEOUT
    if isinstance(error, ssl.SSLError):
        return FailureKind.TLS
    if isinstance(error, socket.gaierror):
        # EAI_AGAIN: the name server did not answer; the name may still exist.
        return FailureKind.CONNECT if error.errno == socket.EAI_AGAIN else FailureKind.NAME_NOT_FOUND
    is_impossible = isinstance(error, OverflowError | UnicodeError)  # a port above 65535, a host that is no name
    return FailureKind.NAME_NOT_FOUND if is_impossible else FailureKind.CONNECT
