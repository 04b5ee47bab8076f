"""One call through the transport, and how it ended."""

import asyncio
import math
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from worker.flinks.connection import CallFailed
from worker.flinks.failures import FailureKind, Progress
from worker.flinks.transport import Transport

PATIENT = 5.0
"""Seconds that a call gets if it is not about the deadline."""


@dataclass(frozen=True)
class Failed:
    """A call without an answer."""

    kind: FailureKind
    progress: Progress


@dataclass(frozen=True)
class Answered:
    """A call with an answer; all that can differ between two answers."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()


async def call(
    transport: Transport,
    url: str,
    *,
    content: bytes = b"{}",
    headers: Mapping[str, str] | None = None,
    connect: float = PATIENT,
    total: float = PATIENT,
    not_after: float = math.inf,
) -> Answered | Failed:
    """Send a PATCH and return what came of it. Seconds; `not_after` by `worker.clock.elapsed_seconds`."""
    extensions = {"timeout": {"connect": connect, "total": total}, "not_after": not_after}
    request = httpx.Request("PATCH", url, headers=headers, content=content, extensions=extensions)
    try:
        response = await transport.handle_async_request(request)
    except CallFailed as failure:
        return Failed(failure.kind, failure.progress)
    body = b"".join([part async for part in response.aiter_raw()])
    return Answered(response.status_code, body, tuple((name.lower(), value) for name, value in response.headers.raw))


def trusting(certificate: Path | None = None) -> ssl.SSLContext:
    """Return the client's side of TLS, which trusts `certificate` and nothing else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if certificate:
        context.load_verify_locations(certificate)
    return context


TRUSTS_NOBODY = trusting()


def opened(
    url: str, *, limit: int = 2, tls: ssl.SSLContext = TRUSTS_NOBODY, proxy: httpx.Proxy | None = None
) -> Transport:
    """Return a transport to the server of `url`; `async with` closes its connections."""
    return Transport(url, limit=limit, tls=tls, proxy=proxy)


async def until(is_true: Callable[[], object], *, seconds: float = 5) -> None:
    """Poll a condition from inside the loop."""
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline, "nothing happened in time"
        await asyncio.sleep(0.002)
