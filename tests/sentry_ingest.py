"""A stand-in for Sentry that keeps the events it receives."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from zlib import MAX_WBITS, decompress


class SentryIngest:
    """Listens on a free loopback port while it is open; `dsn` is the value for SENTRY_DSN."""

    def __init__(self) -> None:
        self.envelopes: list[bytes] = []
        envelopes = self.envelopes

        class Ingest(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                is_packed = self.headers["Content-Encoding"] == "gzip"
                envelopes.append(decompress(body, MAX_WBITS | 16) if is_packed else body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Ingest)
        self._thread = threading.Thread(target=self._server.serve_forever)

    @property
    def dsn(self) -> str:
        return f"http://public@127.0.0.1:{self._server.server_port}/1"

    def events(self) -> list[dict[str, Any]]:
        """Return every received event: an envelope is lines of JSON, the header of an item above its body."""
        lines = [line for envelope in self.envelopes for line in envelope.splitlines()]
        bodies = [json.loads(line) for line in lines if line.startswith(b"{")]
        return [body for body in bodies if "event_id" in body and ("message" in body or "exception" in body)]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
