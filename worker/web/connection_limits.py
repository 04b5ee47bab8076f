"""Limits how long a client may take to send a request, and to read a response.

uvicorn has no time limit for a request's head, for the rest of a body whose response was sent early, or for a client
that does not read. While the application reads a body, a shorter deadline applies (`webhook/body.py`).
"""

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from worker.listening import Place, Places
from worker.telemetry.rare_line import RareLine
from worker.web.strict_http import StrictConnection

CLIENT_SECONDS = 20.0
"""Time from the connection or the last response to the end of the next request, and time to read a response. It is
more than the 5 s that uvicorn keeps an idle connection plus the 10 s for a body: those end without an abort."""


class PatientProtocol(H11Protocol):
    """Serves one connection. It holds one of `places`, and is aborted when its client takes too long."""

    places: Places
    invalid: RareLine
    """`config_for` sets both in a subclass for each server."""
    _place: Place
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Take a place, and start the deadline for the first request."""
        super().connection_made(transport)
        self.conn = StrictConnection()
        self._place = self.places.enter(transport)
        self._update_deadline()

    def data_received(self, data: bytes) -> None:
        """Stop the deadline if the request is complete."""
        super().data_received(data)
        self._update_deadline()

    def on_response_complete(self) -> None:
        """Start the deadline to read the response, to send the rest of the body, and to send the next request."""
        super().on_response_complete()
        self._update_deadline()

    def pause_writing(self) -> None:
        """Start the deadline of a client that does not read."""
        super().pause_writing()
        self._update_deadline()

    def resume_writing(self) -> None:
        """Stop the deadline if the response is not complete."""
        super().resume_writing()
        self._update_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back, and stop the deadline."""
        self.places.leave(self._place)
        self._stop_deadline()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Answer a request that is not valid HTTP, unless a response began: uvicorn would fail on a second one."""
        self.invalid.say(address=self.client[0] if self.client else None)
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            super().send_400_response(msg)
        else:
            self.transport.close()

    def _is_waiting(self) -> bool:
        """Return whether the server waits for the client: to send (the rest of) a request, or to read a response."""
        if self.flow.write_paused or self.cycle is None or self.cycle.response_complete:
            return True
        return self.conn.their_state is h11.SEND_BODY

    def _update_deadline(self) -> None:
        if not self._is_waiting():
            self._place.work()
            self._stop_deadline()
        elif self._deadline is None:
            self._place.wait()
            self._deadline = self.loop.call_later(CLIENT_SECONDS, self.transport.abort)

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
