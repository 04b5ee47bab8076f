"""The call of `transport_cost`, and a server for it that speaks TLS: it answers each PATCH at once with the same text.

The server is a thread of the benchmark, which does nothing else meanwhile; the measured clients are other processes.
"""

import asyncio
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import uvloop

PATH = "/v3/43387ca6-0391-4c82-857d-70d95f087ecb/BankingServices/SetScheduledRefresh"
CONTENT = b'{"loginId":"0f9619ff-8b86-4011-b42d-00cf4fc964ff","isActivated":true}'
ANSWER = b'"LoginId 0f9619ff-8b86-4011-b42d-00cf4fc964ff has now been activated for automatic refresh"'
"""The body of the answer, as stub.c writes it too."""
_REPLY = b"HTTP/1.1 200 OK\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: %d\r\n\r\n%b"
_CERTIFICATE = (
    *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"),
    *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
)


class _Answering(asyncio.Protocol):
    transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        if data.endswith(b"}"):  # the end of the body; no header ends in one
            self.transport.write(_REPLY % (len(ANSWER), ANSWER))


@contextmanager
def tls_stub(folder: Path) -> Iterator[tuple[str, Path]]:
    """Run the server; yields its URL and its certificate, which clients must trust. Needs `openssl`."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    argv = [*_CERTIFICATE, "-out", str(certificate), "-keyout", str(key)]
    subprocess.run(argv, check=True, capture_output=True)  # noqa: S603 - no shell
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    loop = uvloop.new_event_loop()
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    server = loop.run_until_complete(loop.create_server(_Answering, sock=listener, ssl=tls))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield f"https://127.0.0.1:{listener.getsockname()[1]}", certificate
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        loop.close()
