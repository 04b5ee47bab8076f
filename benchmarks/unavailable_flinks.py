"""Emulates a Flinks that is down: answers every request with 503 and records its time."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class DownServer:
    """An HTTP server on a free loopback port, in a thread. It need not be fast: a shut gate makes few calls."""

    def __init__(self) -> None:
        self.asked_at: list[float] = []
        """Times of the requests (CLOCK_MONOTONIC), in order."""
        asked_at = self.asked_at

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_PATCH(self) -> None:
                asked_at.append(time.monotonic())
                self.rfile.read(int(self.headers.get("content-length", 0)))
                body = b"<html><body>503 Service Unavailable</body></html>"
                self.send_response(503)
                self.send_header("content-type", "text/html")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="down", daemon=True)

    @property
    def url(self) -> str:
        """The server's address, for FLINKS_BASE_URL."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
