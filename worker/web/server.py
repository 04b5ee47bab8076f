"""Serves the review page and `POST /events` with uvicorn until SIGTERM or Ctrl-C, and prints its address on stdout."""

import contextlib
import json
import os
import signal
import socket
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from worker.errors import NightlyError
from worker.listening import RESERVED_DESCRIPTORS, BoundedListener, Places, listen, places_that_fit
from worker.telemetry.logs import get_logger
from worker.telemetry.rare_line import RareLine
from worker.web.connection_limits import PatientProtocol

CONNECTIONS = 300
"""Maximum open connections. A further one replaces the one that has been idle longest (`worker/listening.py`)."""
CONNECTIONS_AT_LEAST = 16

log = get_logger(__name__)


class AnnouncingServer(uvicorn.Server):
    """Prints `{"listening": "http://HOST:PORT"}` once it accepts connections; exits 0 on SIGTERM or Ctrl-C."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then print the address."""
        await super().startup(sockets)
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        host = f"[{host}]" if ":" in host else host
        print(json.dumps({"listening": f"http://{host}:{port}"}), flush=True)  # noqa: T201 - the promised line

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGTERM and SIGINT. uvicorn's own method raises the signal again, which changes the exit code."""

        def stop(*_: object) -> None:
            self.should_exit = True

        previous = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)


def serve(app: ASGIApp, *, host: str, port: int) -> None:
    """Serve until a signal; port 0 means any free port.

    Raises NightlyError if it cannot listen, or if the limit of open files is too low.
    """
    try:
        listener = listen(host, port, _places())
    except OSError as error:
        reason = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        raise NightlyError(f"The page cannot listen on {host} port {port}: {reason}.") from None
    AnnouncingServer(config_for(app, listener)).run([listener])


def _places() -> Places:
    places = places_that_fit(CONNECTIONS)
    if places < CONNECTIONS_AT_LEAST:
        needed = CONNECTIONS + RESERVED_DESCRIPTORS
        raise NightlyError(f"The limit of open files is too low for the page: allow {needed} (ulimit -n {needed}).")
    if places < CONNECTIONS:
        log.warning("connections_limited", places=places, reason="the limit of open files (ulimit -n) is low")
    closed, refused = RareLine("idle_connections_closed"), RareLine("connections_refused")
    return Places(places, on_closed=closed.say, on_refused=refused.say)


def config_for(app: ASGIApp, listener: BoundedListener) -> uvicorn.Config:
    """Return uvicorn's configuration: no log line for each request, and a limit on connections and on waiting."""

    class Protocol(PatientProtocol):
        places = listener.places
        invalid = RareLine("invalid_requests_refused")

    return uvicorn.Config(
        app,
        host=listener.getsockname()[0],
        loop="asyncio",  # it calls BoundedListener.accept; other loops use only the file descriptor
        http=Protocol,
        access_log=False,
        log_config=None,
        log_level="error",  # any client can cause uvicorn's warnings, in any number
        lifespan="off",
        ws="none",
        proxy_headers=False,  # any client can forge X-Forwarded-For, and log-ins are limited by address
        server_header=False,
        timeout_graceful_shutdown=5,
    )
