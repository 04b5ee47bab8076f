"""A real RabbitMQ for tests: a node on free loopback ports, with its own data, cookie and epmd."""

import os
import shutil
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from kombu import Connection

from sandbox.stack import ManagedProcess, OrphanGuard
from sandbox.stack.redis_server import free_port
from tests.integration.certificates import write_certificate
from tests.started import Started
from tests.waiting import eventually

HOW = "no rabbitmq-server on PATH: apt-get install --no-install-recommends rabbitmq-server (no service need run)"
START_SECONDS = 60


def server_script() -> str | None:
    """The script that starts a node as the calling user; Debian's own on PATH changes the user."""
    if shutil.which("rabbitmq-server") is None or shutil.which("epmd") is None:
        return None
    of_debian = sorted(Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin/rabbitmq-server"))
    return str(of_debian[-1]) if of_debian else shutil.which("rabbitmq-server")


class RabbitNode(Started):
    """One node, which may be killed and started again on the same data."""

    def __init__(self, folder: Path, *, guard: OrphanGuard) -> None:
        self.port, self.tls_port, distribution, epmd = free_port(), free_port(), free_port(), free_port()
        self._folder, self._guard = folder, guard
        for part in ("home", "mnesia", "log"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        cookie = folder / "home" / ".erlang.cookie"
        cookie.write_text("for-tests-alone")
        cookie.chmod(0o400)
        (folder / "plugins").write_text("[].\n")
        self.certificate = write_certificate(folder / "certificate.pem", "localhost", "127.0.0.1")
        (folder / "rabbitmq.conf").write_text(
            f"listeners.ssl.1 = 127.0.0.1:{self.tls_port}\n"
            f"ssl_options.certfile = {self.certificate}\nssl_options.keyfile = {self.certificate}\n"
        )
        self._environment: Mapping[str, str] = os.environ | {
            "HOME": str(folder / "home"),
            "RABBITMQ_NODENAME": f"tests{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none",  # small and quiet
            "ERL_EPMD_PORT": str(epmd),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }
        self._epmd = self._process("epmd", [str(shutil.which("epmd")), "-port", str(epmd), "-address", "127.0.0.1"])
        self._server = self._process("rabbitmq", [str(server_script())])

    @property
    def url(self) -> str:
        """The address with the default user of every node."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    @property
    def tls_url(self) -> str:
        """The same address over TLS, verified by its own certificate."""
        return f"amqps://guest:guest@localhost:{self.tls_port}//?ssl_ca_certs={self.certificate}"

    def connection(self, **options: Any) -> Connection:
        """A plain kombu connection, as any producer would open it, with publisher confirms."""
        return Connection(self.url, transport_options={"confirm_publish": True}, **options)

    def start(self) -> Self:
        """Start it, and wait until it accepts connections."""
        if self._epmd.exit_code is None and not self._epmd.is_running:
            self._epmd.start()
        self._server.start().wait_ready(self._answers, seconds=START_SECONDS)
        return self

    def kill(self) -> None:
        """`kill -9` all processes of the node."""
        self._server.kill()
        self._server.stop(0)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop (SIGSTOP) all of its processes for a while: its connections stay open without any response."""
        os.killpg(self._server.pid, signal.SIGSTOP)
        try:
            eventually(self._has_no_running_thread, describe="RabbitMQ stopped")
            yield
        finally:
            os.killpg(self._server.pid, signal.SIGCONT)

    def stop(self) -> None:
        """End the node, and its epmd."""
        self._server.stop(15)
        self._epmd.stop(5)

    def _has_no_running_thread(self) -> bool:
        """Whether all threads are stopped: each stops a moment after the signal, and one of them may still answer."""
        states = set()
        for path in Path("/proc").glob("[0-9]*/task/*/stat"):
            with suppress(OSError):  # it ended meanwhile
                state, _, group, *_ = path.read_text().rpartition(")")[2].split()
                states |= {state} if int(group) == self._server.pid else set()
        return bool(states) and states <= {"T", "Z"}

    def _answers(self) -> bool:
        try:
            with self.connection(connect_timeout=2) as connection:
                connection.connect()
                return True
        except OSError:
            return False

    def _process(self, name: str, argv: list[str]) -> ManagedProcess:
        log = self._folder / "log" / f"{name}.out"
        return ManagedProcess(name, argv, env=self._environment, log_path=log, cwd=self._folder, guard=self._guard)
