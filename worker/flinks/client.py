"""Sends calls to Flinks and returns the verdict on each.

A call is one attempt with a deadline: no retry, no redirect, no cookie, no decompression. Each instance has its own
connections. Requests bypass httpx's client and go to the transport, which saves CPU (docs/adr/0006).
"""

import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Self

import httpx

from worker.config.instances import Instance
from worker.flinks.connection import CallFailed
from worker.flinks.failures import FailureKind, Progress, verdict_of_failure
from worker.flinks.messages import PreparedRequest, RawResponse, read_body
from worker.flinks.outcome import Verdict
from worker.flinks.protocol import READ_HEADERS, build_request, content_of, decipher
from worker.flinks.proxy import is_direct, proxy_from_environment
from worker.flinks.response_body import MAX_BODY_BYTES
from worker.flinks.transport import TooLate, Transport

MAX_CONNECT_SECONDS = 5.0
# What other transports of httpx raise, the most specific first.
_FAILURES: tuple[tuple[type[httpx.HTTPError], FailureKind, Progress], ...] = (
    (httpx.ConnectTimeout, FailureKind.TIMEOUT, Progress.NOT_CONNECTED),
    (httpx.PoolTimeout, FailureKind.TIMEOUT, Progress.NOT_CONNECTED),
    (httpx.ConnectError, FailureKind.CONNECT, Progress.NOT_CONNECTED),
    (httpx.ProxyError, FailureKind.CONNECT, Progress.NOT_CONNECTED),
    (httpx.TimeoutException, FailureKind.TIMEOUT, Progress.WRITTEN),
    (httpx.NetworkError, FailureKind.CLOSED, Progress.WRITTEN),
    (httpx.HTTPError, FailureKind.PROTOCOL, Progress.WRITTEN),
)


def _version() -> str:
    try:
        return version("nightly-refresh-worker")
    except PackageNotFoundError:  # run from a checkout that was never installed
        return "unknown"


_TRANSPORT_HEADERS = {"user-agent": f"nightly-refresh-worker/{_version()}", "accept-encoding": "identity"}

_READ_NAMES = frozenset(name.encode() for name in READ_HEADERS)


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class _Route:
    """The parts that all calls of an instance share. References the instance, so that its id is not reused."""

    instance: Instance
    method: str
    url: httpx.URL
    headers: httpx.Headers
    transport: httpx.AsyncBaseTransport


class FlinksClient:
    """Calls any Flinks instance from one event loop; `async with` opens and closes the connections.

    Each instance has at most `max_connections` connections; a further call waits until one of the instance's calls
    ends. Certificates are verified against certifi's roots, or against SSL_CERT_FILE or SSL_CERT_DIR if set.
    HTTPS_PROXY, ALL_PROXY and NO_PROXY are honoured as httpx does and read once on opening. The proxy tunnels the
    call, so it never sees a loginId. Loopback is never proxied. Opening raises SettingsError unless the proxy is an
    http or https one. `open_transport` replaces Nightly's own transport: it gets the URL of an instance.
    """

    def __init__(
        self,
        *,
        max_connections: int,
        now: Callable[[], datetime] = _utc_now,
        open_transport: Callable[[str], httpx.AsyncBaseTransport] | None = None,
    ) -> None:
        self._max_connections = max_connections
        self._now = now
        self._open_transport = open_transport or self._own_transport
        self._exits = AsyncExitStack()
        self._routes: dict[int, _Route] = {}

    async def __aenter__(self) -> Self:
        self._tls = httpx.create_ssl_context()
        self._tls.minimum_version = ssl.TLSVersion.TLSv1_2
        self._proxy = proxy_from_environment()
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
        connect, total = min(MAX_CONNECT_SECONDS, timeout_seconds / 2), timeout_seconds
        # The last three are for other transports of httpx.
        limits = {"connect": connect, "total": total, "read": total, "write": total, "pool": total}
        request = PreparedRequest(
            route.method,
            route.url,
            route.headers,
            content=content_of(login_id, wants_active),
            extensions={"timeout": limits, "not_after": not_after},
        )
        try:
            response = await route.transport.handle_async_request(request)
            body = (await read_body(response, MAX_BODY_BYTES))[:MAX_BODY_BYTES]
        except TooLate:
            return None
        except httpx.HTTPError as error:
            return verdict_of_failure(*_failure_of(error))
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
        transport = self._open_transport(request.url)
        self._exits.push_async_callback(transport.aclose)
        headers = httpx.Headers({**request.headers, **_TRANSPORT_HEADERS})
        route = _Route(instance, request.method, httpx.URL(request.url), headers, transport)
        self._routes[id(instance)] = route
        return route

    def _own_transport(self, url: str) -> Transport:
        proxy = None if is_direct(httpx.URL(url).host) else self._proxy
        return Transport(url, limit=self._max_connections, tls=self._tls, proxy=proxy)


def _read_headers(response: httpx.Response) -> dict[str, str]:
    if isinstance(response, RawResponse) and _READ_NAMES.isdisjoint(response.header_names):
        return {}
    return {name: response.headers[name] for name in READ_HEADERS if name in response.headers}


def _failure_of(error: httpx.HTTPError) -> tuple[FailureKind, Progress]:
    if isinstance(error, CallFailed):
        return error.kind, error.progress
    return next((kind, progress) for raised, kind, progress in _FAILURES if isinstance(error, raised))
