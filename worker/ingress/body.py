"""Reads a request's body into memory up to a limit, and within a time: no sender may fill us, or hold on to us."""

import asyncio
from http import HTTPStatus

from starlette.requests import Request

from worker.events import MAX_BODY_BYTES
from worker.ingress.refusals import Refused

BODY_SECONDS = 10.0
"""For a whole body: a sender that needs longer for a mebibyte holds a place that others need."""
LINGER_BYTES = 16 * MAX_BODY_BYTES
"""So much of a body that is too long is read and thrown away: a sender that is cut off at once sees no answer."""
CLOSE = {"connection": "close"}
"""Or the server would go on to read what is left of the body."""


async def read_body(request: Request) -> bytes:
    """Return the body; raises Refused, and ClientDisconnect."""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _read(request)
    except TimeoutError:
        detail = f"body: did not come within {BODY_SECONDS:g} s"
        raise Refused(HTTPStatus.REQUEST_TIMEOUT, "too_slow", detail, headers=CLOSE) from None


async def _read(request: Request) -> bytes:
    body, size = bytearray(), 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > LINGER_BYTES:
            break
        if size <= MAX_BODY_BYTES:
            body += chunk
    if size > MAX_BODY_BYTES:
        detail = f"body: larger than {MAX_BODY_BYTES} bytes"
        raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", detail, headers=CLOSE)
    return bytes(body)
