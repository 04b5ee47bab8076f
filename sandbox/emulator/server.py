"""Runs the emulator under uvicorn.

A request finds its connection's transport in the scope's state, so that faults can reset it. The server stops without
waiting for calls that a fault keeps silent.
"""

import asyncio
import contextlib
import socket

import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from sandbox.emulator.api import FlinksApi
from sandbox.emulator.control import control_app
from sandbox.emulator.state import Emulator
from worker.web.server import AnnouncingServer

CONTROL_PREFIX = "/_emulator"


class TransportInScope(H11Protocol):
    """uvicorn's own protocol with the connection's transport in `scope["state"]["transport"]`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn does
        """Put the transport into the state that every scope of this connection copies."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


class EmulatorServer(AnnouncingServer):
    """A server that stops without waiting."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Abort every connection, which also ends the calls that a fault keeps silent."""
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        self.force_exit = True
        await super().shutdown(sockets)


class EmulatorApp:
    """Routes `/_emulator/` to the control API and everything else to the Flinks API."""

    def __init__(self, emulator: Emulator) -> None:
        self._flinks = FlinksApi(emulator)
        self._control = control_app(emulator, CONTROL_PREFIX)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Only the end of the process cancels a request."""
        with contextlib.suppress(asyncio.CancelledError):
            is_control = scope["path"].startswith(f"{CONTROL_PREFIX}/")
            await (self._control if is_control else self._flinks)(scope, receive, send)


def serve(emulator: Emulator, *, host: str, port: int, log_level: str) -> None:
    """Serve until SIGTERM or SIGINT. Port 0 means any free port. Exits with uvicorn's code if it cannot listen."""
    config = uvicorn.Config(
        EmulatorApp(emulator),
        host=host,
        port=port,
        log_level=log_level,
        access_log=False,
        http=TransportInScope,
        loop="asyncio",
        ws="none",
        lifespan="off",
        interface="asgi3",
        server_header=False,
        timeout_keep_alive=75,
        backlog=4096,
    )
    EmulatorServer(config).run()
