"""HTTP servers that others wrote, each on a port of loopback and with TLS."""

import asyncio
import contextlib
import json
import shutil
import socket
import threading
import warnings
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from sandbox.stack import ManagedProcess, OrphanGuard
from tests.integration.certificates import speaking_tls
from tests.integration.misbehaving import CONFIRMED
from tests.waiting import eventually

IDLE_SECONDS = 1
"""After which a server closes a connection that nobody uses; nginx and uvicorn know only whole seconds."""
REQUESTS_PER_CONNECTION = 5
"""Of nginx."""
STATUSES = {"/refused": 429, "/missing": 404}
BODY = CONFIRMED.decode()
NO_AIOHTTP = "THE TRANSPORT WAS NOT TESTED WITH AIOHTTP, which is not installed"
PACKAGES = {"nginx": "nginx-light", "tinyproxy": "tinyproxy", "node": "nodejs"}

Serve = Callable[[Path, Path, int, OrphanGuard], AbstractContextManager[None]]
"""Serve in a folder, with a certificate, on a port."""


def program(name: str) -> str:
    """Return the path of a program; without it, skip the test with a line that says what to install."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if path is None:
        pytest.skip(f"THE TRANSPORT WAS NOT TESTED WITH {name.upper()}: apt-get install {PACKAGES[name]}")
    return path


@contextlib.contextmanager
def running(argv: list[str], folder: Path, port: int, guard: OrphanGuard) -> Iterator[None]:
    """Run a program that listens on a port, and kill it at the end."""
    process = ManagedProcess(Path(argv[0]).name, argv, env={}, log_path=folder / "log", cwd=folder, guard=guard)
    process.start()
    try:
        process.wait_ready(lambda: is_listening(port), seconds=10)
        yield
    finally:
        process.kill()


def is_listening(port: int) -> bool:
    """Return whether somebody accepts connections."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@contextlib.asynccontextmanager
async def beside(server: AbstractContextManager[None]) -> AsyncIterator[None]:
    """Start and stop a server in a thread, so that the event loop can close its connections meanwhile."""
    await asyncio.to_thread(server.__enter__)
    try:
        yield
    finally:
        await asyncio.to_thread(server.__exit__, None, None, None)


NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr warn;
events {{}}
http {{
    access_log off; default_type application/json; keepalive_timeout {idle}s; keepalive_requests {requests};
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} ssl; ssl_certificate {certificate}; ssl_certificate_key {certificate};
        location = /whole {{ return 200 '{body}'; }}
        # A filter leaves the length open, so that nginx sends chunks.
        location = /chunked {{ sub_filter_types *; sub_filter never changed; return 200 '{body}'; }}
        location = /refused {{ return 429 '{body}'; }}
        location = /missing {{ return 404 '{body}'; }}
    }}
}}
"""


@contextlib.contextmanager
def nginx(folder: Path, certificate: Path, port: int, guard: OrphanGuard) -> Iterator[None]:
    """Serve with nginx."""
    config = folder / "nginx.conf"
    limits = {"idle": IDLE_SECONDS, "requests": REQUESTS_PER_CONNECTION}
    config.write_text(NGINX.format(folder=folder, port=port, certificate=certificate, body=BODY, **limits))
    with running([program("nginx"), "-e", "stderr", "-c", str(config)], folder, port, guard):
        yield


NODE = """
const body = %(body)s, statuses = %(statuses)s, pem = require('fs').readFileSync(%(certificate)s);
const server = require('https').createServer({key: pem, cert: pem}, (request, response) => {
    request.resume().on('end', () => {
        if (request.url == '/chunked') response.write(body.slice(0, 9));
        else response.writeHead(statuses[request.url] || 200, {'content-length': body.length});
        response.end(request.url == '/chunked' ? body.slice(9) : body);
    });
});
server.keepAliveTimeout = %(idle)d;
server.listen(%(port)d, '127.0.0.1');
"""


@contextlib.contextmanager
def node(folder: Path, certificate: Path, port: int, guard: OrphanGuard) -> Iterator[None]:
    """Serve with Node."""
    texts = {"body": BODY, "statuses": STATUSES, "certificate": str(certificate)}
    facts = {name: json.dumps(text) for name, text in texts.items()} | {"port": port, "idle": 200}
    with running([program("node"), "-e", NODE % facts], folder, port, guard):
        yield


async def application(scope: Mapping[str, Any], receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
    """Answer as the other servers do; without a Content-Length, uvicorn sends chunks."""
    while (await receive()).get("more_body"):
        pass
    headers = [] if scope["path"] == "/chunked" else [(b"content-length", b"%d" % len(CONFIRMED))]
    status = STATUSES.get(scope["path"], 200)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": CONFIRMED[:9], "more_body": True})
    await send({"type": "http.response.body", "body": CONFIRMED[9:]})


@contextlib.contextmanager
def uvicorn_server(_: Path, certificate: Path, port: int, __: OrphanGuard) -> Iterator[None]:
    """Serve with uvicorn, in a thread."""
    server = uvicorn.Server(
        uvicorn.Config(
            application, port=port, ssl_certfile=certificate, ws="none", loop="asyncio", lifespan="off",
            log_level="critical", timeout_keep_alive=IDLE_SECONDS, timeout_graceful_shutdown=2,
        )
    )  # fmt: skip
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        eventually(lambda: server.started)
        yield
    finally:
        server.should_exit = True
        thread.join(10)


@contextlib.contextmanager
def aiohttp_server(_: Path, certificate: Path, port: int, __: OrphanGuard) -> Iterator[None]:
    """Serve with aiohttp, in a thread."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        web = pytest.importorskip("aiohttp.web", reason=NO_AIOHTTP)

    async def answer(request: Any) -> Any:
        await request.read()
        if request.path != "/chunked":
            return web.Response(status=STATUSES.get(request.path, 200), body=CONFIRMED)
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(CONFIRMED[:9])
        await response.write(CONFIRMED[9:])
        return response

    async def serve() -> None:
        application = web.Application()
        application.router.add_route("*", "/{path}", answer)
        runner = web.AppRunner(application, keepalive_timeout=0.2, shutdown_timeout=2)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=speaking_tls(certificate)).start()
        is_serving.set()
        await asyncio.to_thread(may_end.wait)
        await runner.cleanup()
        await asyncio.sleep(0.1)  # TLS says goodbye to idle connections

    is_serving, may_end = threading.Event(), threading.Event()
    thread = threading.Thread(target=asyncio.run, args=[serve()])
    thread.start()
    try:
        assert is_serving.wait(10)
        yield
    finally:
        may_end.set()
        thread.join(10)


TINYPROXY = """
Port {port}
Listen 127.0.0.1
Timeout 10
Allow 127.0.0.1
BasicAuth {user} {word}
LogLevel Connect
"""


@contextlib.contextmanager
def tinyproxy(folder: Path, port: int, guard: OrphanGuard, *, user: str, word: str) -> Iterator[None]:
    """Run a forward proxy that wants credentials."""
    config = folder / "tinyproxy.conf"
    config.write_text(TINYPROXY.format(port=port, user=user, word=word))
    with running([program("tinyproxy"), "-d", "-c", str(config)], folder, port, guard):
        yield


SERVERS: dict[str, Serve] = {"uvicorn": uvicorn_server, "nginx": nginx, "node": node, "aiohttp": aiohttp_server}
