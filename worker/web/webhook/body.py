"""Reads bodies into memory: each with a maximum size and time, and a maximum number at once.

Anybody may send a body, signed or not. One that comes slowly therefore gives way to a new one (ADR 17).
"""

import asyncio
from collections import Counter
from http import HTTPStatus

from starlette.requests import Request

from worker.events.contract import MAX_BODY_BYTES
from worker.listening import network_of
from worker.web.webhook.problems import Refused

BODY_SECONDS = 10.0
"""For a whole body: a sender that needs longer for a mebibyte holds a place that others need."""
AT_ONCE = 100
"""Bodies that are being read; each may hold a mebibyte."""
LINGER_BYTES = 16 * MAX_BODY_BYTES
"""Bytes of a too long body that are read and discarded: a sender that is cut off at once sees no answer."""
CLOSE = {"connection": "close"}
"""Or the server would go on to read what is left of the body."""


class Bodies:
    """The bodies that one server is reading. A further one ends that which takes longest.

    That is: of the clients whose address has most bodies here, the one that began first.
    """

    def __init__(self) -> None:
        self._reading: dict[asyncio.Timeout, str] = {}

    async def read(self, request: Request) -> bytes:
        """Return the body; raises Refused, and ClientDisconnect."""
        deadline = asyncio.timeout(BODY_SECONDS)
        try:
            async with deadline:
                if len(self._reading) >= AT_ONCE:
                    self._give_way()
                self._reading[deadline] = network_of(request.client.host if request.client else "")
                return await _read(request)
        except TimeoutError:
            if deadline not in self._reading:
                raise _too_many() from None
            detail = f"body: did not come within {BODY_SECONDS:g} s"
            raise Refused(HTTPStatus.REQUEST_TIMEOUT, "too_slow", detail, headers=CLOSE) from None
        finally:
            self._reading.pop(deadline, None)

    def _give_way(self) -> None:
        held = Counter(self._reading.values())
        longest = max(self._reading, key=lambda one: held[self._reading[one]])  # of equals the first, so the oldest
        del self._reading[longest]
        if not longest.expired():
            longest.reschedule(asyncio.get_running_loop().time())


def _too_many() -> Refused:
    detail = "body: came too slowly while too many others came"
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
