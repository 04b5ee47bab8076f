"""Runs a server of our own, Valkey or Redis, on a free loopback port, durable enough to be killed at any moment.

It never touches a Redis that it did not start: readiness is the answer of a server whose data folder is ours,
and a lock on that folder, which the server itself holds on to, keeps a second one away from the same files.
"""

import fcntl
import os
import random
import socket
from functools import partial
from pathlib import Path
from typing import Literal, Self

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from worker.embedded.guard import OrphanGuard
from worker.embedded.processes import ManagedProcess
from worker.embedded.redis_binary import find_redis_binary
from worker.errors import EmbeddedStackError

# Below every system's range for outgoing connections: a client that reconnects while Redis is down could be
# given its own target as source port, connect to itself, and keep Redis from coming back.
PORTS = range(20_000, 32_000)
PORT_ATTEMPTS = 10
START_SECONDS = 30.0
STOP_SECONDS = 10.0
Fsync = Literal["always", "everysec", "no"]


class EmbeddedRedis:
    """A Valkey or Redis server with its data under `<folder>/redis-<name>/`: append-only file on, nothing evicted."""

    def __init__(
        self, folder: Path, *, name: str = "ledger", appendfsync: Fsync = "everysec", guard: OrphanGuard | None = None
    ) -> None:
        self.data_folder = folder.absolute() / f"redis-{name}"
        self.log_path = self.data_folder / "redis.log"
        self.port: int | None = None
        self.server = ""
        """Its name and version once it was started, such as `Valkey 9.1.2`."""
        self._name, self._appendfsync, self._guard = name, appendfsync, guard
        self._lock: int | None = None
        self._process: ManagedProcess | None = None

    @property
    def url(self) -> str:
        """`redis://127.0.0.1:<port>/0`: the same after a restart."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """The server's process id; raises EmbeddedStackError while it does not run."""
        if self._process is None:
            raise EmbeddedStackError(f"Redis {self._name} is not started")
        return self._process.pid

    def start(self) -> Self:
        """Start it and wait until it answers: on its former port if it had one, else on a free one.

        Raises EmbeddedStackError with the end of its log, or with what to install.
        """
        binary = find_redis_binary()
        self.server = str(binary)
        self.data_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._take_lock()
        try:
            self._start_on_some_port(binary.path)
        except BaseException:
            self.stop()
            raise
        return self

    def kill(self) -> None:
        """`kill -9`: what was not yet handed to the operating system is lost, as in a crash."""
        if self._process:
            self._process.kill()
            self._process.stop()
            self._process = None

    def restart(self) -> None:
        """`kill -9`, then start again on the same port and the same data."""
        self.kill()
        self.start()

    def stop(self) -> None:
        """SIGTERM, SIGKILL after 10 s, and let go of the data folder. Harmless when it does not run."""
        try:
            if self._process:
                self._process.stop(STOP_SECONDS)
        finally:
            self._process = None
            if self._lock is not None:
                os.close(self._lock)
                self._lock = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _take_lock(self) -> None:
        if self._lock is not None:
            return
        lock = os.open(self.data_folder / "lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise EmbeddedStackError(
                f"Another Nightly uses {self.data_folder.parent.name}/{self.data_folder.name} already; stop it first."
            ) from None
        self._lock = lock

    def _start_on_some_port(self, binary: str) -> None:
        for _ in range(PORT_ATTEMPTS):
            port = self.port or free_port()
            self._process = process = ManagedProcess(
                f"Redis {self._name}",
                self._argv(binary, port),
                env=os.environ,
                log_path=self.log_path,
                guard=self._guard,
                keep_open=[] if self._lock is None else [self._lock],
            )
            try:
                process.start().wait_ready(partial(self._is_ours, port), seconds=START_SECONDS)
            except EmbeddedStackError:
                if self.port or "Address already in use" not in process.output():
                    raise
                process.stop()
            else:
                self.port = port
                return
        raise EmbeddedStackError(f"Redis {self._name}: {PORT_ATTEMPTS} ports in a row were taken while it started")

    def _argv(self, binary: str, port: int) -> list[str]:
        options = {
            "port": str(port),
            "bind": "127.0.0.1",
            "dir": str(self.data_folder),
            "appendonly": "yes",
            "appendfsync": self._appendfsync,
            "save": "",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
        }
        return [binary, *(part for name, value in options.items() for part in (f"--{name}", value))]

    def _is_ours(self, port: int) -> bool:
        """Whether the server on this port answers (has read its file) and keeps its data in our folder."""
        client = Redis(host="127.0.0.1", port=port, socket_timeout=2, retry=Retry(NoBackoff(), 0))
        try:
            return bool(client.ping()) and client.config_get("dir")["dir"] == os.path.realpath(self.data_folder)
        except (RedisError, OSError):
            return False
        finally:
            client.close()


def free_port() -> int:
    """Return a loopback port nobody listens on right now; raises EmbeddedStackError when a hundred tries find none."""
    for port in random.sample(PORTS, 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise EmbeddedStackError(f"no free loopback port among a hundred tried between {PORTS.start} and {PORTS.stop}")
