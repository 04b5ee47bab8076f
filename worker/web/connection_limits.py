"""Limits how long a client may take: to send a request, to send its body, and to read an answer.

uvicorn waits for ever for a request's head, for the rest of a body that was answered early, and for a client that does
not read its answer. While the application reads a body, a shorter deadline applies.
"""

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from worker.listening import Place, Places
from worker.telemetry.rare_line import RareLine
from worker.web.strict_http import StrictConnection

CLIENT_SECONDS = 20.0
"""From the connection, or from the last answer, to the end of the next request; and for taking an answer. More than
the 5 s that uvicorn keeps an idle connection and the 10 s for a body together, because those end more politely."""


class PatientProtocol(H11Protocol):
    """Serves one connection, which holds one of `places` and is aborted when its client is waited for too long."""

    places: Places
    invalid: RareLine
    """Set by `config_for`, in a subclass for each server."""
    _place: Place
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Begin to wait."""
        super().connection_made(transport)
        self.conn = StrictConnection()
        self._place = self.places.enter(transport)
        self._look()

    def data_received(self, data: bytes) -> None:
        """Wait on only while the request is not complete."""
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        """Wait for the client to take the answer, to send what is left of its body, and to send another request."""
        super().on_response_complete()
        self._look()

    def pause_writing(self) -> None:
        """Wait for a client that does not take what was written."""
        super().pause_writing()
        self._look()

    def resume_writing(self) -> None:
        """Go on with the answer."""
        super().resume_writing()
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self.places.leave(self._place)
        self._stop()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, unless there was an answer already: uvicorn would fail on a second one."""
        self.invalid.say(address=self.client[0] if self.client else None)
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            super().send_400_response(msg)
        else:
            self.transport.close()

    def _is_waiting(self) -> bool:
        """Whether it is the client's turn: to send a request or the rest of it, or to take an answer."""
        if self.flow.write_paused or self.cycle is None or self.cycle.response_complete:
            return True
        return self.conn.their_state is h11.SEND_BODY

    def _look(self) -> None:
        if not self._is_waiting():
            self._place.work()
            self._stop()
        elif self._deadline is None:
            self._place.wait()
            self._deadline = self.loop.call_later(CLIENT_SECONDS, self.transport.abort)

    def _stop(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
