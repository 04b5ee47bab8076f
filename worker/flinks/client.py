"""Sends calls to Flinks: transport, deadline, TLS, proxy. Only this module and prepared.py import httpx.

A call is one attempt with a deadline: no retry, no redirect, no cookie, no decompression. Each instance has its own
connections. Requests bypass httpx's client and go to the transport, which saves CPU (docs/adr/0006).
"""

import asyncio
import socket
import ssl
from base64 import b64encode
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, aclosing
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Self, cast
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx
from aiohttp.http_exceptions import HttpProcessingError
from httpx_aiohttp import AiohttpTransport

from worker.clock import elapsed_seconds
from worker.config.instances import Instance
from worker.config.validators import LOOPBACK_HOSTS
from worker.errors import SettingsError
from worker.flinks.outcome import Verdict
from worker.flinks.prepared import PreparedHeaders, PreparedRequest, PreparedUrl
from worker.flinks.protocol import (
    READ_HEADERS,
    FailureKind,
    build_request,
    content_of,
    decipher,
    verdict_of_failure,
)
from worker.flinks.response_body import MAX_BODY_BYTES

KEEPALIVE_SECONDS = 15.0
"""Shorter than the idle timeout of servers and load balancers, which may close a connection just as we write to it."""
MAX_CONNECT_SECONDS = 5.0
# HttpProcessingError: aiohttp's parser raises it for a broken body when the C extension is missing.
_FAILURES = (httpx.HTTPError, httpx.InvalidURL, aiohttp.ClientError, HttpProcessingError, OSError)
# Classified by aiohttp's exceptions, the most specific first: httpx-aiohttp maps a reset to ConnectTimeout.
_KINDS: tuple[tuple[tuple[type[Exception], ...], FailureKind], ...] = (
    ((aiohttp.ClientConnectorDNSError, aiohttp.InvalidURL, httpx.InvalidURL), FailureKind.NAME_NOT_FOUND),
    ((aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError), FailureKind.TLS),
    ((aiohttp.ClientConnectorError, aiohttp.ClientHttpProxyError), FailureKind.CONNECT),
    ((aiohttp.ConnectionTimeoutError,), FailureKind.TIMEOUT_BEFORE_SENT),
    ((TimeoutError,), FailureKind.TIMEOUT_AFTER_SENT),
    ((aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, OSError), FailureKind.RESET),
)


_NOT_AFTER: ContextVar[float] = ContextVar("not_after")  # for the connector: the limit of the current task's call


def _version() -> str:
    try:
        return version("nightly-refresh-worker")
    except PackageNotFoundError:  # run from a checkout that was never installed
        return "unknown"


_TRANSPORT_HEADERS = {"user-agent": f"nightly-refresh-worker/{_version()}", "accept-encoding": "identity"}


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class _Route:
    """Prepared request parts and transport of one instance. References the instance, so that its id is not reused."""

    instance: Instance
    method: str
    url: PreparedUrl
    headers: PreparedHeaders
    transport: httpx.AsyncBaseTransport
    slots: asyncio.Semaphore
    """One per connection that the instance may have. Waiting for a slot does not count as part of the call."""


class _TooLateError(Exception):
    """A connection became ready only after the call's `not_after`."""


class _Connector(aiohttp.TCPConnector):
    """Refuses a connection after the call's `not_after`: aiohttp writes the request as soon as it has a connection."""

    async def connect(self, *args: Any, **kwargs: Any) -> aiohttp.connector.Connection:
        connection = await super().connect(*args, **kwargs)
        if elapsed_seconds() > _NOT_AFTER.get():
            connection.release()
            raise _TooLateError
        return connection


class FlinksClient:
    """Calls any Flinks instance from one event loop; `async with` opens and closes the connections.

    Each instance has at most `max_connections` connections; a further call waits until one of the instance's calls
    ends. Certificates are verified against certifi's roots, or against SSL_CERT_FILE or SSL_CERT_DIR if set.
    HTTPS_PROXY, ALL_PROXY and NO_PROXY are honoured as httpx does and read once on opening. The proxy tunnels the
    call, so it never sees a loginId. Loopback is never proxied. Opening raises SettingsError unless the proxy is an
    http or https one.
    """

    def __init__(self, *, max_connections: int, now: Callable[[], datetime] = _utc_now) -> None:
        self._max_connections = max_connections
        self._now = now
        self._exits = AsyncExitStack()
        self._routes: dict[int, _Route] = {}

    async def __aenter__(self) -> Self:
        self._tls = httpx.create_ssl_context()
        self._tls.minimum_version = ssl.TLSVersion.TLSv1_2
        self._proxy = _proxy_from_environment()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._routes.clear()
        await self._exits.aclose()

    async def set_scheduled_refresh(
        self,
        instance: Instance,
        login_id: str,
        wants_active: bool,  # noqa: FBT001 - the wish, in the order of Flinks' own body
        *,
        timeout_seconds: float,
        not_after: float,
    ) -> Verdict | None:
        """Switch a login's nightly refresh on or off and return the verdict, or None if nothing was sent.

        `not_after` (on the `elapsed_seconds` clock) is the latest moment at which the call may begin: the end of the
        lease less `timeout_seconds`. It is checked before connecting and again right before the request is written: a
        process that was stopped or suspended past it does not send a wish that another worker may have replaced. A
        call that waited too long for a slot is not sent either; that says nothing about Flinks.
        `timeout_seconds` bounds the whole call, the body included. Connecting gets at most half of it, which separates
        a failure to connect from a call that Flinks may have carried out.
        """
        route = self._routes.get(id(instance)) or self._open_route(instance)
        content = content_of(login_id, wants_active)
        async with route.slots:
            if elapsed_seconds() > not_after:
                return None
            _NOT_AFTER.set(not_after)
            try:
                async with asyncio.timeout(timeout_seconds):
                    response, body = await _exchange(route, content, min(MAX_CONNECT_SECONDS, timeout_seconds / 2))
            except _TooLateError:
                return None
            except _FAILURES as error:
                return verdict_of_failure(_kind_of(error))
        return decipher(
            response.status_code,
            _read_headers(response),
            body,
            login_id=login_id,
            auth_key=instance.auth_key.get_secret_value(),
            wants_active=wants_active,
            now=self._now(),
        )

    def _open_route(self, instance: Instance) -> _Route:
        request = build_request(instance, "", wants_active=False)
        url = PreparedUrl(request.url)
        is_direct = url.host in LOOPBACK_HOSTS or bool(proxy_bypass(url.host))
        transport = self._transport(None if is_direct else self._proxy)
        self._exits.push_async_callback(transport.aclose)
        headers = PreparedHeaders({**request.headers, **_TRANSPORT_HEADERS})
        slots = asyncio.Semaphore(self._max_connections)
        route = _Route(instance, request.method, url, headers, transport, slots)
        self._routes[id(instance)] = route
        return route

    def _transport(self, proxy: httpx.Proxy | None) -> AiohttpTransport:
        # No limit: waiting for a free connection inside the connector would count as a failure to connect.
        connector = _Connector(limit=0, keepalive_timeout=KEEPALIVE_SECONDS, ssl=self._tls)
        session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        return AiohttpTransport(verify=self._tls, client=session, proxy=proxy)


async def _exchange(route: _Route, content: bytes, connect_seconds: float) -> tuple[httpx.Response, bytes]:
    # httpx-aiohttp uses "pool" as the limit for the name lookup, TCP and TLS together.
    extensions = {"timeout": {"pool": connect_seconds}}
    request = PreparedRequest(route.method, route.url, route.headers, content=content, extensions=extensions)
    response = await route.transport.handle_async_request(request)
    body, is_whole = b"", False
    try:
        body, is_whole = await _first_bytes(response)
    finally:
        if not is_whole:  # closes the connection; after a whole body it is already back in the pool
            await response.aclose()
    return response, body


def _read_headers(response: httpx.Response) -> dict[str, str]:
    return {name: response.headers[name] for name in READ_HEADERS if name in response.headers}


async def _first_bytes(response: httpx.Response) -> tuple[bytes, bool]:
    """Return at most 64 KiB of the body as it came over the wire, and whether it was read to its end."""
    stream = cast("httpx.AsyncByteStream", response.stream)
    body = bytearray()  # bytes would be copied for each chunk, and a chunk may be one byte
    async with aclosing(cast("AsyncGenerator[bytes, None]", aiter(stream))) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) >= MAX_BODY_BYTES:
                return bytes(body[:MAX_BODY_BYTES]), False
    return bytes(body), True


def _kind_of(error: BaseException) -> FailureKind:
    original = error.__cause__ if isinstance(error, httpx.HTTPError) and error.__cause__ else error
    if isinstance(original, aiohttp.ClientConnectorDNSError) and original.errno == socket.EAI_AGAIN:
        return FailureKind.CONNECT  # the name server did not answer; the name may still exist
    return next((kind for types, kind in _KINDS if isinstance(original, types)), FailureKind.PROTOCOL)


def _proxy_from_environment() -> httpx.Proxy | None:
    proxies = getproxies()
    address = proxies.get("https") or proxies.get("all")
    if not address:
        return None
    try:
        proxy = httpx.Proxy(address if "://" in address else f"http://{address}")
    except (ValueError, httpx.InvalidURL):
        raise SettingsError(["HTTPS_PROXY: must be a URL such as http://proxy.example:3128"]) from None
    if proxy.url.scheme not in {"http", "https"} or not proxy.url.host:
        raise SettingsError(["HTTPS_PROXY: only an http or https proxy can be used"])
    if proxy.raw_auth is None:
        return proxy
    credentials = b64encode(b":".join(proxy.raw_auth)).decode()
    return httpx.Proxy(proxy.url, headers={"proxy-authorization": f"Basic {credentials}"})
