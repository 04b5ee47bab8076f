"""Serves the status page with uvicorn until SIGTERM or Ctrl-C, and says on stdout where it listens."""

import contextlib
import json
import os
import signal
import socket
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from worker.errors import NightlyError
from worker.review.patience import PatientProtocol


class ReviewServer(uvicorn.Server):
    """Prints `{"listening": "http://HOST:PORT"}` once it accepts connections; exits 0 when it is told to stop."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening, then say so."""
        await super().startup(sockets)
        port = self.servers[0].sockets[0].getsockname()[1]
        host = f"[{self.config.host}]" if ":" in self.config.host else self.config.host
        print(json.dumps({"listening": f"http://{host}:{port}"}), flush=True)  # noqa: T201 - the promised line

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGTERM and SIGINT; uvicorn's own raises them again, which spoils the exit code."""

        def stop(*_: object) -> None:
            self.should_exit = True

        before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def serve(app: ASGIApp, *, host: str, port: int) -> None:
    """Serve; port 0 takes a free one. Raises NightlyError where it cannot listen."""
    try:
        listener = listen(host, port)
    except OSError as error:
        reason = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        raise NightlyError(f"The page cannot listen on {host} port {port}: {reason}.") from None
    ReviewServer(config_for(app, host=host, port=port)).run([listener])


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens, and whose connections send what is written at once; raises OSError."""
    listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    # asyncio sees no TCP in a socket made like this, and without the option each answer would wait 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def config_for(app: ASGIApp, *, host: str, port: int) -> uvicorn.Config:
    """Return how uvicorn is to serve: no line for a request, and every wait and number bounded (patience.py)."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=PatientProtocol,
        access_log=False,
        log_config=None,
        lifespan="off",
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=5,
    )
