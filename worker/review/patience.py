"""Bounds what a client may ask of the server before anybody knows who it is: places, time, and work for a body.

uvicorn waits for ever for a request's head, and for the rest of a body that was answered early; its own limit of
connections does not say when to come back; and its parser takes a tenth of a millisecond for a chunk, so that one
client with chunks of a byte could keep all others waiting. Where a body is read it has a deadline there.
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
"""From the connection, or from the first byte of a further request, to the end of its headers; from an answer that did
not wait for the body to the end of that body."""
CHUNKS = 2000
"""Of one body; more than a batch of 500 events whose every event and comma is written alone."""

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
        self.conn.__class__ = _Counted  # which adds a count, and no state that __init__ would have to make
        self._look()

    def data_received(self, data: bytes) -> None:
        """Wait on only while the head is not complete."""
        self.app = _BUSY if len(self.connections) > CONNECTIONS else self.config.loaded_app
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        """Wait for the rest of a body that was answered early."""
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:
            self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._stop()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, unless there was an answer already: uvicorn would fail on a second one."""
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            super().send_400_response(msg)
        else:
            self.transport.close()

    def _is_awaited(self) -> bool:
        """Whether the client is to say more, and nobody but us gives it a time for that."""
        connection: Any = self.conn
        is_answered = connection.our_state not in {h11.IDLE, h11.SEND_RESPONSE, h11.SEND_BODY}
        return connection.their_state is h11.IDLE or (connection.their_state is h11.SEND_BODY and is_answered)

    def _look(self) -> None:
        if not self._is_awaited():
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


class _Counted(h11.Connection):
    """Takes a body of more than CHUNKS chunks for no HTTP."""

    _chunks = 0

    def next_event(self) -> Any:
        event = super().next_event()
        if isinstance(event, h11.Data):
            self._chunks += event.chunk_start
            if self._chunks > CHUNKS:
                raise h11.RemoteProtocolError("too many chunks")
        elif isinstance(event, h11.Request):
            self._chunks = 0
        return event
