"""Reads request bodies into memory, with limits on their size, their duration and their number at once.

A body is read before its signature can be verified, so any client can send one: at the limit, the slowest body is
ended for a new one (ADR 17).
"""

import asyncio
from collections import Counter
from http import HTTPStatus

from starlette.requests import Request

from worker.events.contract import MAX_BODY_BYTES
from worker.listening import network_of
from worker.web.webhook.problems import Refused

BODY_SECONDS = 10.0
"""Time limit for a whole body of at most 1 MiB. A slower sender takes a place that others need."""
AT_ONCE = 100
"""Maximum bodies that are read at once, of up to 1 MiB each."""
LINGER_BYTES = 16 * MAX_BODY_BYTES
"""Bytes of a body over the size limit that are read and discarded. If they were not, the sender's connection would be
reset before it reads the response."""
CLOSE = {"connection": "close"}
"""Without this header, the server would continue to read the rest of the body."""


class Bodies:
    """The bodies that one server is reading.

    At the limit, a new body ends the oldest one of the address that has most bodies here.
    """

    def __init__(self) -> None:
        self._reading: dict[asyncio.Timeout, str] = {}

    async def read(self, request: Request) -> bytes:
        """Return the body; raises Refused, and ClientDisconnect."""
        deadline = asyncio.timeout(BODY_SECONDS)
        try:
            async with deadline:
                if len(self._reading) >= AT_ONCE:
                    self._end_slowest()
                self._reading[deadline] = network_of(request.client.host if request.client else "")
                return await _read(request)
        except TimeoutError:
            if deadline not in self._reading:
                raise _too_many() from None
            detail = f"body: did not arrive within {BODY_SECONDS:g} s"
            raise Refused(HTTPStatus.REQUEST_TIMEOUT, "too_slow", detail, headers=CLOSE) from None
        finally:
            self._reading.pop(deadline, None)

    def _end_slowest(self) -> None:
        bodies_of = Counter(self._reading.values())
        slowest = max(self._reading, key=lambda body: bodies_of[self._reading[body]])  # of equals the first: the oldest
        del self._reading[slowest]
        if not slowest.expired():
            slowest.reschedule(asyncio.get_running_loop().time())


def _too_many() -> Refused:
    detail = "body: arrived too slowly while too many others arrived"
    return Refused(HTTPStatus.SERVICE_UNAVAILABLE, "busy", detail, retry_after_seconds=1, headers=CLOSE)


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
