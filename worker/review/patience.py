"""Bounds how many clients hold a place at once, and how long one may take to say what it wants.

uvicorn itself waits for ever for a request's first line and headers, and its own limit of connections does not say when
to come back. A body has a deadline where it is read.
"""

import asyncio
from http import HTTPStatus
from typing import Any

import h11
from starlette.responses import JSONResponse
from uvicorn.protocols.http.h11_impl import H11Protocol

CONNECTIONS = 300
"""More are answered 503 at once. One that says nothing gives its place back after HEAD_SECONDS."""
RETRY_AFTER_SECONDS = 5
HEAD_SECONDS = 10.0
"""From the connection, or from the first byte of a further request, to the end of its headers."""

_BUSY = JSONResponse(
    {
        "type": "about:blank",
        "title": HTTPStatus.SERVICE_UNAVAILABLE.phrase,
        "status": HTTPStatus.SERVICE_UNAVAILABLE.value,
        "code": "busy",
        "detail": "too many connections at once",
    },
    status_code=HTTPStatus.SERVICE_UNAVAILABLE,
    headers={"retry-after": str(RETRY_AFTER_SECONDS), "connection": "close"},
    media_type="application/problem+json",
)


class PatientProtocol(H11Protocol):
    """Waits HEAD_SECONDS for the head of a request, and passes on those of CONNECTIONS connections."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Begin to wait."""
        super().connection_made(transport)
        self._look()

    def data_received(self, data: bytes) -> None:
        """Wait on only while the head is not complete."""
        self.app = _BUSY if len(self.connections) > CONNECTIONS else self.config.loaded_app
        super().data_received(data)
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._stop()
        super().connection_lost(exc)

    def _look(self) -> None:
        connection: Any = self.conn
        if connection.their_state is not h11.IDLE:
            self._stop()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _stop(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            self.transport.close()
